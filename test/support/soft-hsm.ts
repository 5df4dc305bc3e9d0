import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const MODULES = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/softhsm/libsofthsm.so', '/usr/local/lib/softhsm/libsofthsm2.so'];
const MODULE = MODULES.find((file) => existsSync(file)) ?? '';

/** Why the tests with a token cannot run here; '' when they can. */
export const NO_HSM =
  MODULE === '' || spawnSync('softhsm2-util', ['--version']).error
    ? 'SoftHSM is not installed'
    : existsSync(join(ROOT, 'hsm/node_modules/pkcs11js/build/Release/pkcs11.node'))
      ? ''
      : 'npm ci --prefix hsm was not run';

export const PIN = '98765432';

/** A folder with tokens in software, and a server's settings for one of them. */
export class SoftHsm {
  readonly dir = mkdtempSync(join(tmpdir(), 'bjwt-hsm-'));
  readonly tokens = join(this.dir, 'tokens');
  readonly pinFile = join(this.dir, 'pin');
  private readonly conf = join(this.dir, 'softhsm2.conf');

  constructor() {
    mkdirSync(this.tokens);
    writeFileSync(this.conf, `directories.tokendir = ${this.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
    writeFileSync(this.pinFile, `${PIN}\n`, { mode: 0o600 });
  }

  addToken(label: string): void {
    execFileSync('softhsm2-util', ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', PIN], {
      env: { ...process.env, SOFTHSM2_CONF: this.conf },
      stdio: 'ignore',
    });
  }

  settings(tokenLabel = 'hospital'): Record<string, string> {
    return {
      SOFTHSM2_CONF: this.conf,
      KEY_PROVIDER: 'pkcs11',
      PKCS11_MODULE: MODULE,
      PKCS11_TOKEN_LABEL: tokenLabel,
      PKCS11_PIN_FILE: this.pinFile,
    };
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
