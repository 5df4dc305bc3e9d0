import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CryptoError } from './crypto-error';
import { loadKeyFiles } from './key-files';
import { KeyFolder } from './key-folder';
import { KeyStore } from './key-store';
import { addTokenKey } from './token-key-file';
import { TokenKeys } from './token-keys';
import { retireTokenKeys, rotateTokenKey } from './token-rotation';

const MINUTE = 60_000;
const times = { leadMs: MINUTE, overlapMs: 10 * MINUTE };

describe('SEC-10 token keys', () => {
  let dir: string;
  let store: KeyStore;
  let first: string;
  let start: number;
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'ehr-keys-')), 'keys');
    loadKeyFiles(dir, { create: true });
    store = new KeyStore(new KeyFolder(dir));
    start = Date.now() + 1000; // after the file's time
    first = new TokenKeys(store).signing(start).kid;
  });
  afterEach(() => rmSync(join(dir, '..'), { recursive: true }));

  const statesAt = (keys: TokenKeys, minutes: number) =>
    Object.fromEntries(keys.states(start + minutes * MINUTE).map(({ kid, state }) => [kid, state]));

  it('published, signing, retired, ended, removed: in this order, by the clock', () => {
    const running = new TokenKeys(store);
    const { kid } = rotateTokenKey(store, start, times);
    expect(statesAt(running, 0)).toEqual({ [first]: 'signing' }); // a server that has not looked yet
    running.refresh();
    expect(statesAt(running, 0.99)).toEqual({ [first]: 'signing', [kid]: 'published' });
    expect(statesAt(running, 1)).toEqual({ [first]: 'retired', [kid]: 'signing' });
    expect(running.verifying(first, start + 10.99 * MINUTE)).toBeDefined();
    expect(running.verifying(first, start + 11 * MINUTE)).toBeUndefined();
    expect(statesAt(running, 11)).toEqual({ [first]: 'ended', [kid]: 'signing' });
    expect(running.published(start + 11 * MINUTE).map((key) => key.kid)).toEqual([kid]);
    expect(retireTokenKeys(store, start + 10 * MINUTE)).toEqual([]);
    expect(retireTokenKeys(store, start + 11 * MINUTE)).toEqual([first]);
    running.refresh();
    expect(statesAt(running, 11)).toEqual({ [kid]: 'signing' });
    expect(existsSync(join(dir, `token-${first}.pem`))).toBe(false);
  });

  it('two rotations in a row end each key once', () => {
    const second = rotateTokenKey(store, start, times).kid;
    const third = rotateTokenKey(store, start + 2 * MINUTE, times).kid;
    const keys = new TokenKeys(store);
    expect(statesAt(keys, 2)).toEqual({ [first]: 'retired', [second]: 'signing', [third]: 'published' });
    expect(keys.states(start).find(({ kid }) => kid === first)?.verifiesUntil).toBe(start + 11 * MINUTE); // not put off
    expect(statesAt(keys, 13)).toEqual({ [first]: 'ended', [second]: 'ended', [third]: 'signing' });
  });

  it('a rotation that stopped before its plan was written leaves a key that signs nothing', () => {
    rotateTokenKey(store, start, { leadMs: 0, overlapMs: MINUTE });
    const stray = addTokenKey(store);
    const keys = new TokenKeys(store);
    expect(keys.signing(start + MINUTE).kid).not.toBe(stray);
    expect(statesAt(keys, 1)[stray]).toBe('published');
    expect(retireTokenKeys(store, start, stray)).toEqual([stray]);
  });

  it('the last key that signs is not ended, nor one that is not there', () => {
    for (const kid of [first, 'unknown']) expect(() => retireTokenKeys(store, start, kid)).toThrow(new CryptoError('token_key_missing'));
    rotateTokenKey(store, start, times);
    expect(() => retireTokenKeys(store, start, first)).toThrow(new CryptoError('token_key_missing')); // its successor does not sign yet
    expect(retireTokenKeys(store, start + MINUTE, first)).toEqual([first]);
  });

  it.each([
    '',
    '{}',
    '[1]',
    '[{"kid":1,"signsFrom":1,"verifiesUntil":null}]',
    '[{"kid":"k","signsFrom":"now","verifiesUntil":null}]',
    '[{"kid":"k"}]',
  ])('SEC-84 a plan of another form, %j, is refused at the start; a running server keeps what it knew', (text) => {
    const running = new TokenKeys(store);
    writeFileSync(join(dir, 'token-keys.json'), text, { mode: 0o600 });
    expect(() => new TokenKeys(store)).toThrow(new CryptoError('key_file_malformed', 'token-keys.json'));
    expect(() => running.refresh()).toThrow(CryptoError);
    expect(running.signing(start).kid).toBe(first);
  });

  it('SEC-84 a plan by which no key may sign is refused at the start', () => {
    writeFileSync(join(dir, 'token-keys.json'), JSON.stringify([{ kid: first, signsFrom: 1, verifiesUntil: 2 }]), { mode: 0o600 });
    expect(() => new TokenKeys(store)).toThrow(new CryptoError('token_key_missing'));
  });

  it('SEC-88 leaves nothing but the keys and the plan', () => {
    rotateTokenKey(store, start, times);
    expect(readdirSync(dir).filter((name) => !/^(token-[\w-]{43}\.pem|(root|index|pepper|ledger)\.key)$/.test(name))).toEqual([
      'token-keys.json',
    ]);
  });
});
