import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../support/api-client';
import { type Server, startServer } from '../support/servers';
import { NO_HSM, PIN, SoftHsm } from '../support/soft-hsm';
import { runProgram } from '../support/tools';
import { createWorld, PASSWORD, sealedDiagnosis, type World } from '../support/world';

const withToken = NO_HSM === '' ? describe : describe.skip;

withToken(`a root in a PKCS#11 token${NO_HSM === '' ? '' : ` (skipped: ${NO_HSM})`}`, () => {
  let hsm: SoftHsm;
  let running: Server | undefined;
  const folders: string[] = [];
  beforeAll(() => {
    hsm = new SoftHsm();
    ['hospital', 'other'].forEach((label) => hsm.addToken(label));
  });
  afterEach(async () => {
    await running?.stop('SIGKILL');
    running = undefined;
  });
  afterAll(() => {
    hsm.close();
    for (const dir of folders) rmSync(dir, { recursive: true, force: true });
  });
  const folder = (): string => {
    const dir = mkdtempSync(join(tmpdir(), 'bjwt-hsm-data-'));
    folders.push(dir);
    return dir;
  };
  const start = async (dir: string, settings = hsm.settings()) => (running = await startServer(dir, settings));
  const refusal = async (dir: string, settings: Record<string, string>): Promise<unknown> => {
    const { code, stdout, stderr } = await runProgram('main', [], { DATA_DIR: dir, PORT: '0', LOG_CONSOLE: 'false', ...settings });
    expect(stdout).toBe('');
    return [code, stderr];
  };
  const refused = (text: string): unknown => [1, expect.stringContaining(text)];

  describe('SEC-84 a fresh installation', () => {
    let dir: string;
    beforeAll(async () => {
      dir = folder();
      await (await startServer(dir, hsm.settings())).stop();
    });

    it('SEC-88 starts and starts again; every key file is sealed, none is open, modes are 0600', async () => {
      await start(dir);
      const names = readdirSync(join(dir, 'keys')).sort();
      expect(names).toEqual([
        'index.key.sealed',
        'ledger.key.sealed',
        'pepper.key.sealed',
        expect.stringMatching(/^token-[\w-]{43}\.pem\.sealed$/),
      ]);
      for (const name of names) {
        expect(statSync(join(dir, 'keys', name)).mode & 0o777).toBe(0o600);
        expect(readFileSync(join(dir, 'keys', name), 'utf8')).toMatch(/^4Q[M-P][A-Za-z0-9+/]+=*\n$/); // 0xE1 0x03
      }
    });

    it('SEC-88 the PIN is neither in the arguments nor in the environment nor in the log', async () => {
      const { pid } = await start(dir);
      for (const file of ['cmdline', 'environ']) expect(readFileSync(`/proc/${pid}/${file}`, 'latin1')).not.toContain(PIN);
      expect(readFileSync(join(dir, 'logs/ehr.log'), 'latin1')).not.toContain(PIN);
    });

    it('refuses a wrong PIN, an open PIN file, another token, another key, another module, and says which', async () => {
      const wrong = join(hsm.dir, 'wrong');
      writeFileSync(wrong, '00000000\n', { mode: 0o600 });
      const open = join(hsm.dir, 'open');
      writeFileSync(open, `${PIN}\n`);
      chmodSync(open, 0o644);
      const cases: [Record<string, string>, string][] = [
        [{ PKCS11_PIN_FILE: wrong }, 'The token refuses the PIN.'],
        [{ PKCS11_PIN_FILE: open }, '(PKCS11_PIN_FILE)'],
        [{ PKCS11_TOKEN_LABEL: 'none' }, 'There is no token'],
        [{ PKCS11_TOKEN_LABEL: 'other' }, 'The token has no key'],
        [{ PKCS11_MODULE: '/nowhere.so' }, 'The PKCS#11 module cannot be used.'],
        [{ PKCS11_MODULE: '' }, 'PKCS11_MODULE: must not be empty'],
      ];
      const check = async ([change, text]: (typeof cases)[number]) =>
        expect(await refusal(dir, { ...hsm.settings(), ...change })).toEqual(refused(text));
      await Promise.all(cases.map(check));
    }, 60_000);

    it('refuses the same label in another token, and a folder without the token', async () => {
      await (await startServer(folder(), hsm.settings('other'))).stop(); // makes a key of this label there
      expect(await refusal(dir, hsm.settings('other'))).toEqual(refused('A sealed key file does not open'));
      expect(await refusal(dir, {})).toEqual(refused('A key file is missing. (root.key)'));
    }, 60_000);

    it('refuses sealed files that were swapped, or that lie beside an open one', async () => {
      const [one, two] = ['index.key.sealed', 'pepper.key.sealed'].map((name) => join(dir, 'keys', name)) as [string, string];
      const swap = () => {
        renameSync(one, `${one}.tmp`);
        renameSync(two, one);
        renameSync(`${one}.tmp`, two);
      };
      swap();
      expect(await refusal(dir, hsm.settings())).toEqual(
        refused('A sealed key file does not open: it was altered, or the key in the token is another one. (index.key)'),
      );
      swap();
      writeFileSync(join(dir, 'keys/root.key'), `${'ab'.repeat(32)}\n`, { mode: 0o600 });
      expect(await refusal(dir, hsm.settings())).toEqual(refused('A key file lies open'));
      rmSync(join(dir, 'keys/root.key'));
      await start(dir);
    }, 60_000);
  });

  it('SEC-78 SEC-79 opens only what it wrapped, at its place; a lost session is opened again, a lost token is an outage; weak keys are refused', () => {
    const settings = hsm.settings();
    const script = ['-r', './tools/swc-register.cjs', 'test/support/hsm-sessions.ts', JSON.stringify(settings), hsm.tokens];
    const { stdout, stderr } = spawnSync(process.execPath, script, { cwd: join(__dirname, '../..'), encoding: 'utf8', env: settings });
    expect([stderr, stdout.trim().split('\n')]).toEqual([
      '',
      [
        'opens: true',
        'moved: envelope_rejected',
        'flipped: envelope_rejected',
        'cut: envelope_malformed',
        'value: CKR_ATTRIBUTE_SENSITIVE',
        'sessions closed: true',
        'extractable: hsm_key_unfit',
        'two of a label: hsm_key_missing',
        'token away: hsm_unavailable',
      ],
    ]);
  });

  describe('SEC-83 an installation moves from files to the token', () => {
    let world: World;
    let record: string;
    let copy: string;
    beforeAll(async () => {
      world = await createWorld();
      record = await sealedDiagnosis(world.doctorA, world.patientA.id, 'kept');
      await world.app.close();
      folders.push(world.dir);
      copy = join(folder(), 'keys');
      cpSync(join(world.dir, 'keys'), copy, { recursive: true, preserveTimestamps: true });
    }, 60_000);
    const keys = (...args: string[]) => runProgram('tools/keys', args, { DATA_DIR: world.dir, ...hsm.settings() });
    const files = () => readdirSync(join(world.dir, 'keys'));
    const expectServes = async () => {
      const { url } = await start(world.dir);
      const read = await new ApiClient(url, world.doctorA.api.token).get(`/records/${record}/content`); // signed by the same token key
      expect([read.status, read.text]).toEqual([200, expect.stringContaining('kept')]);
      const login = await new ApiClient(url, null).post('/auth/login', { username: world.patientA.username, password: PASSWORD });
      expect(login.status).toBe(200); // index and pepper are the same
      await running?.stop();
    };

    it('does not open before: the database has another root', async () => {
      expect(await refusal(world.dir, hsm.settings())).toEqual(refused('A key file lies open'));
    }, 30_000);

    it('adopts the token; what was there is served, and no file opens it any more', async () => {
      expect(await keys('adopt-hsm')).toMatchObject({ code: 0, stderr: '' });
      expect(files().every((name) => name.endsWith('.sealed'))).toBe(true);
      await expectServes();
      for (const secret of readdirSync(copy).map((name) => readFileSync(join(copy, name), 'latin1').trim()))
        for (const name of files()) expect(readFileSync(join(world.dir, 'keys', name), 'latin1')).not.toContain(secret);
      expect(await refusal(world.dir, {})).toEqual(refused('A key file is missing. (root.key)'));
      expect(await refusal(world.dir, { KEYS_DIR: copy })).toEqual(refused('The root key is not the one this database was written with.'));
    }, 60_000);

    it('interrupted before the open files were gone: the server refuses, the same command finishes', async () => {
      cpSync(copy, join(world.dir, 'keys'), { recursive: true, preserveTimestamps: true });
      expect(await refusal(world.dir, hsm.settings())).toEqual(refused('A key file lies open'));
      expect(await keys('adopt-hsm')).toMatchObject({ code: 0, stdout: expect.stringContaining('0 key-encryption keys') });
      expect(existsSync(join(world.dir, 'keys/root.key'))).toBe(false);
      expect(await keys('adopt-hsm')).toMatchObject({ code: 1, stderr: expect.stringContaining('has adopted its token') });
      await expectServes();
    }, 60_000);

    it('rotates and audits with the token', async () => {
      for (const args of [['rotate', '--all'], ['token', 'rotate', '--lead', '0'], ['token', 'status'], ['status']])
        expect([args, await keys(...args)]).toMatchObject([args, { code: 0, stderr: '' }]);
      expect(files().every((name) => name.endsWith('.sealed') || name === 'token-keys.json')).toBe(true);
      await expectServes();
      const audit = await runProgram('tools/audit', [], { DATA_DIR: world.dir, ...hsm.settings() });
      expect([audit.code, audit.stdout]).toEqual([0, expect.stringContaining('VALID')]);
    }, 60_000);
  });
});
