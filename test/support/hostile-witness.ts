import { sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { signCosignature } from '../../src/ledger/core/cosignature';
import { formatNote, parseNote, signatureLine } from '../../src/ledger/core/note';
import { formatVkey } from '../../src/ledger/core/vkey';
import { parseAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import { newSigner } from './foreign-log';

/** What a witness, or somebody on the line to it, answers. */
export interface HostileAnswer {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers?: Record<string, string>;
}
/** Given to `add-checkpoint` (body of the request) and to `<hash>/checkpoint` (null). */
export type Behaviour = (body: string | null) => HostileAnswer | Promise<HostileAnswer>;

/** A witness of this process whose every answer the test decides. It has a good key. */
export class HostileWitness {
  readonly signer = newSigner('witness.example/hostile', 4);
  /** Bodies of all add-checkpoint requests. */
  readonly asked: string[] = [];
  behave: Behaviour = (body) => (body === null ? { status: 404, body: '' } : this.cosign(body));
  private readonly server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = request.method === 'POST' ? Buffer.concat(pieces).toString('utf8') : null;
      if (body !== null) this.asked.push(body);
      void Promise.resolve(this.behave(body)).then(({ status, body: answer, headers }) => response.writeHead(status, headers).end(answer));
    });
  });

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** Lines of a policy under which this witness alone is enough. */
  get policy(): string[] {
    const address = this.server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    return [`witness w ${formatVkey(this.signer.key)} http://127.0.0.1:${port}`, 'quorum w'];
  }

  /** The answer of an honest witness without a memory. */
  cosign(request: string, withTime = true): HostileAnswer {
    const { text } = parseNote(parseAddCheckpoint(request).checkpoint);
    if (withTime) return { status: 200, body: signatureLine(signCosignature(text, this.signer, BigInt(Math.floor(Date.now() / 1000)))) };
    // What `signCosignature` refuses to make: a good signature over the time 0.
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime 0\n${text}`), this.signer.privateKey);
    const { name, id } = this.signer.key;
    return { status: 200, body: signatureLine({ name, id, signature: Buffer.concat([Buffer.alloc(8), signature]) }) };
  }

  /** A note with this witness' cosignature: what it shows as the checkpoint that it saw last. */
  cosigned(note: string): string {
    const { text, signatures } = parseNote(note);
    return formatNote({ text, signatures: [...signatures.slice(0, 1), signCosignature(text, this.signer, 1n)] });
  }
}
