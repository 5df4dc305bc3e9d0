import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CryptoError, type CryptoErrorCode } from './crypto-error';
import { loadKeyFiles } from './key-files';
import { thumbprint } from './token-key-file';

describe('key files', () => {
  let base: string;
  let dir: string;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'ehr-keys-'));
    dir = join(base, 'keys');
  });
  afterEach(() => rmSync(base, { recursive: true }));

  const file = (start: string) => join(dir, readdirSync(dir).find((name) => name.startsWith(start)) ?? '');
  const expectCode = (code: CryptoErrorCode, where?: string, create = true) =>
    expect(() => loadKeyFiles(dir, { create })).toThrow(new CryptoError(code, where));

  it('creates a full set once and reads the same keys afterwards', () => {
    const first = loadKeyFiles(dir, { create: true });
    const again = loadKeyFiles(dir, { create: true });
    expect(again.root.matches(first.root.checkValue())).toBe(true);
    for (const name of ['indexKey', 'pepperKey', 'ledgerKey'] as const) {
      expect(first[name].symmetricKeySize).toBe(32);
      expect(first[name].equals(again[name])).toBe(true);
    }
    const token = again.tokenKeys.signing(Date.now());
    expect(token.kid).toBe(first.tokenKeys.signing(Date.now()).kid);
    const signature = sign('sha256', Buffer.from('x'), token.privateKey);
    expect(verify('sha256', Buffer.from('x'), createPublicKey(token.privateKey), signature)).toBe(true);
    expect(readFileSync(file('root.key'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
  });

  it('SEC-88 directory 0700, files 0600', () => {
    loadKeyFiles(dir, { create: true });
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(dir).sort()).toEqual([
      'index.key',
      'ledger.key',
      'pepper.key',
      'root.key',
      expect.stringMatching(/^token-[\w-]{43}\.pem$/),
    ]);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  it.each([0o640, 0o604, 0o620, 0o660, 0o644])('SEC-88 refuses a file of mode %o', (mode) => {
    loadKeyFiles(dir, { create: true });
    for (const start of ['root.key', 'index.key', 'pepper.key', 'ledger.key', 'token-']) {
      chmodSync(file(start), mode);
      expect(() => loadKeyFiles(dir, { create: false })).toThrow(
        new CryptoError('key_file_permissions', file(start).slice(dir.length + 1)),
      );
      chmodSync(file(start), 0o400);
    }
    expect(() => loadKeyFiles(dir, { create: false })).not.toThrow();
  });

  it('SEC-88 refuses an open directory, full or empty', () => {
    mkdirSync(dir);
    chmodSync(dir, 0o755); // whatever the umask is
    expectCode('key_file_permissions', 'key directory');
    expect(readdirSync(dir)).toEqual([]);
    chmodSync(dir, 0o700);
    loadKeyFiles(dir, { create: true });
    chmodSync(dir, 0o750);
    expectCode('key_file_permissions', 'key directory');
  });

  it('SEC-84 missing keys: refuses to start, and never makes new ones beside an existing database', () => {
    expectCode('key_file_missing', 'root.key', false);
    for (const start of ['root.key', 'index.key', 'pepper.key', 'ledger.key', 'token-']) {
      rmSync(dir, { recursive: true, force: true });
      loadKeyFiles(dir, { create: true });
      unlinkSync(file(start));
      expectCode('key_file_missing', start === 'token-' ? 'token-<kid>.pem' : start);
      expect(readdirSync(dir)).toHaveLength(4);
    }
  });

  it.each(['', 'ab', '0'.repeat(63), '0'.repeat(66), 'g'.repeat(64), `${'0'.repeat(64)}\n\n`])(
    'SEC-84 refuses a malformed secret key %j',
    (text) => {
      loadKeyFiles(dir, { create: true });
      writeFileSync(file('index.key'), text);
      expectCode('key_file_malformed', 'index.key');
    },
  );

  it('refuses one secret used twice', () => {
    loadKeyFiles(dir, { create: true });
    writeFileSync(file('pepper.key'), readFileSync(file('index.key')));
    expectCode('key_file_malformed', 'index.key');
  });

  it('refuses a token key of another curve, kind, form or name', () => {
    loadKeyFiles(dir, { create: true });
    const good = readFileSync(file('token-'), 'utf8');
    const name = file('token-').slice(dir.length + 1);
    const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const bad = [
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
      generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }),
      p256().export({ format: 'pem', type: 'pkcs8' }), // right kind, but not the key of this name
      p256().export({ format: 'pem', type: 'sec1' }),
      good.replace(/[A-Za-z]/, '!'),
      '',
    ];
    for (const text of bad) {
      writeFileSync(file('token-'), text);
      expectCode('key_file_malformed', name);
    }
    writeFileSync(file('token-'), good);
    expect(loadKeyFiles(dir, { create: false }).tokenKeys.published(Date.now())).toHaveLength(1);
  });

  it('of several token keys the newest signs, all verify; and it says when it cannot read', () => {
    loadKeyFiles(dir, { create: true });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const newer = join(dir, `token-${thumbprint(privateKey)}.pem`);
    writeFileSync(newer, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    utimesSync(newer, new Date(), new Date(Date.now() + 100)); // file times are coarse: both may be of one tick
    const { tokenKeys } = loadKeyFiles(dir, { create: false });
    expect(tokenKeys.signing(Date.now() + 1000).kid).toBe(thumbprint(privateKey));
    expect(tokenKeys.published(Date.now())).toHaveLength(2);
    writeFileSync(join(base, 'plain'), '');
    dir = join(base, 'plain');
    expectCode('key_file_unreadable', 'key directory');
  });
});

it('thumbprint: the P-256 key of RFC 7517 A.1 has the RFC 7638 thumbprint computed by hand', () => {
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  };
  expect(thumbprint(createPublicKey({ key: jwk, format: 'jwk' }))).toBe('cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s');
});
