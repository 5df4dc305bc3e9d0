import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Made by `openssl`, good for a day: files in a folder. */
export class Authority {
  readonly file: string;

  constructor(
    private readonly dir: string,
    private readonly name: string,
  ) {
    this.file = join(dir, `${name}.crt`);
    const subject = ['-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE'];
    openssl(['req', '-x509', ...newKey(join(dir, `${name}.key`)), '-days', '1', ...subject, '-out', this.file]);
  }

  /** A certificate for a server of this name. */
  issue(host: string): { readonly certificate: string; readonly key: string } {
    const place = (end: string): string => join(this.dir, `${this.name}-${host}.${end}`);
    openssl(['req', ...newKey(place('key')), '-subj', `/CN=${host}`, '-out', place('csr')]);
    writeFileSync(place('ext'), `subjectAltName=DNS:${host}\n`);
    const signer = ['-CA', this.file, '-CAkey', join(this.dir, `${this.name}.key`), '-CAcreateserial'];
    openssl(['x509', '-req', '-in', place('csr'), ...signer, '-days', '1', '-extfile', place('ext'), '-out', place('crt')]);
    return { certificate: place('crt'), key: place('key') };
  }
}

const newKey = (file: string): string[] => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];

function openssl(parameters: readonly string[]): void {
  execFileSync('openssl', parameters, { stdio: 'pipe' });
}
