import { createSecretKey } from 'node:crypto';
import { cpuNow } from '../../test/support/cpu-time';
import { CryptoError, HasherBusy } from './crypto-error';
import { Argon2idHasher, DEFAULT_HASHER, type HasherParameters } from './password-hasher';
import { Sealed } from './sealed';

const quick: HasherParameters = { memoryKiB: 64, passes: 1, parallelism: 1 };
const keys = { pepperKey: createSecretKey(Buffer.alloc(32, 5)) };
const hasher = new Argon2idHasher(keys, quick);

describe('Argon2idHasher', () => {
  it('accepts the password and nothing else', async () => {
    const sealed = await hasher.hash('account-1', 'correct horse');
    expect(await hasher.verify('account-1', sealed, 'correct horse')).toBe(true);
    for (const wrong of ['Correct horse', 'correct horse ', '', 'correct hors'])
      expect(await hasher.verify('account-1', sealed, wrong)).toBe(false);
  });

  it('has no 72-byte limit and compares in NFKC', async () => {
    const long = 'x'.repeat(100);
    expect(await hasher.verify('a', await hasher.hash('a', long), `${long}y`)).toBe(false);
    expect(await hasher.verify('a', await hasher.hash('a', 'caf\u00e9 \ufb01'), 'cafe\u0301 fi')).toBe(true);
  });

  it('SEC-84 the hash is sealed: another pepper or a changed byte does not open it', async () => {
    const sealed = await hasher.hash('account-1', 'correct horse');
    expect(sealed.bytes.includes('argon2')).toBe(false);
    const other = new Argon2idHasher({ pepperKey: createSecretKey(Buffer.alloc(32, 6)) }, quick);
    await expect(other.verify('account-1', sealed, 'correct horse')).rejects.toThrow(new CryptoError('envelope_wrong_key'));
    const changed = Buffer.from(sealed.bytes);
    changed[60] = (changed[60] ?? 0) ^ 1;
    await expect(hasher.verify('account-1', new Sealed(changed), 'correct horse')).rejects.toThrow(new CryptoError('envelope_rejected'));
  });

  it('SEC-78 the hash of one account does not work for another', async () => {
    const sealed = await hasher.hash('account-1', 'correct horse');
    await expect(hasher.verify('account-2', sealed, 'correct horse')).rejects.toThrow(new CryptoError('envelope_rejected'));
  });

  it('an unknown account costs as much as a known one and is never right', async () => {
    const slow = new Argon2idHasher(keys); // the default parameters, so that the time is Argon2's
    const sealed = await slow.hash('account-1', 'correct horse');
    const median = async (work: () => Promise<boolean>) => {
      const times: number[] = [];
      for (let i = 0; i < 9; i++) {
        const start = cpuNow();
        expect(await work()).toBe(false);
        times.push(cpuNow() - start);
      }
      return times.sort((a, b) => a - b)[4] ?? 0;
    };
    const known = await median(() => slow.verify('account-1', sealed, 'wrong'));
    const unknown = await median(() => slow.verify('account-1', null, 'wrong'));
    expect(unknown / known).toBeGreaterThan(0.5);
    expect(unknown / known).toBeLessThan(2);
  });

  it('needsRehash tells a hash of other parameters', async () => {
    const sealed = await hasher.hash('account-1', 'correct horse');
    expect(hasher.needsRehash('account-1', sealed)).toBe(false);
    expect(new Argon2idHasher(keys, DEFAULT_HASHER).needsRehash('account-1', sealed)).toBe(true);
    expect(await new Argon2idHasher(keys, DEFAULT_HASHER).verify('account-1', sealed, 'correct horse')).toBe(true);
  });

  it('refuses to hash a lone surrogate and never accepts one', async () => {
    await expect(hasher.hash('a', 'x\ud800')).rejects.toThrow(new CryptoError('bad_value'));
    expect(await hasher.verify('a', await hasher.hash('a', 'x\ufffd'), 'x\ud800')).toBe(false);
  });

  it('is busy when the queue is full, and recovers', async () => {
    const small = new Argon2idHasher(keys, { ...quick, concurrency: 1, queue: 2 });
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => small.verify('a', null, 'x')));
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect(results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))).toEqual([
      new HasherBusy(),
      new HasherBusy(),
    ]);
    expect(await small.verify('a', null, 'x')).toBe(false);
  });
});
