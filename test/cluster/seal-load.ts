import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A seal that was answered with 201. */
export interface Seal {
  readonly recordId: string;
  readonly chainId: string;
  readonly height: number;
  readonly blockHash: string;
  readonly state: string;
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

const TIMEOUT_MS = 20_000;
/** A client comes back with a new connection after so many seals, so that a process that was replaced gets work again. */
const SEALS_A_CONNECTION = 100;
/** Each so-manieth seal waits for its proof: somebody must sequence, whoever died. */
const WAITS = 50;
const DIAGNOSIS = JSON.stringify({
  code: 'E11.9',
  display: 'Type 2 diabetes mellitus',
  note: 'Fasting glucose 148 mg/dL twice. '.repeat(8),
});

/** Clients that draft and seal over the ordinary routes, each on a connection of its own, and remember what they were told. */
export class SealLoad {
  readonly acknowledged: Seal[] = [];
  /** Drafts that were answered with 201. */
  drafts = 0;
  /** Records whose seal was asked for and never answered: they may be sealed or not. */
  readonly unsure: string[] = [];
  /** Answers that were no success, and connections that broke, by what they said; ` (kept)`: a connection on which there had been an answer before. */
  readonly failures = new Map<string, number>();
  /** Longest time in which nobody was told of a seal, ms. */
  longestGap = 0;
  private last = performance.now();
  private begun = 0;
  private isOver = false;

  /** `token` gives a valid one at any time; `patientOf` says whose record the n-th seal of a client is. */
  constructor(
    private readonly url: string,
    private readonly token: () => string,
    private readonly patientOf: (client: number, seal: number) => string,
  ) {}

  /** Resolves when so many seals were acknowledged. */
  async run(seals: number, clients: number): Promise<void> {
    this.last = performance.now();
    await Promise.all(Array.from({ length: clients }, (_none, client) => this.client(client, seals)));
  }

  /** Whoever is asking still hears the answer; nobody asks again. */
  stop(): void {
    this.isOver = true;
  }

  private async client(client: number, seals: number): Promise<void> {
    for (let own = 0; this.goesOn(seals);) {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (const until = own + SEALS_A_CONNECTION; own < until && this.goesOn(seals); own += 1) {
        this.begun += 1;
        if (await this.seal(agent, this.patientOf(client, own), this.begun % WAITS === 0 ? 'logged' : 'sealed')) continue;
        this.begun -= 1;
        await sleep(50);
      }
      agent.destroy();
    }
  }

  private goesOn(seals: number): boolean {
    return !this.isOver && this.begun < seals;
  }

  private async seal(agent: Agent, patientId: string, wait: string): Promise<boolean> {
    const draft = await this.post(agent, `/patients/${patientId}/diagnoses`, DIAGNOSIS);
    if (draft?.status !== 201) return false;
    this.drafts += 1;
    const { id } = JSON.parse(draft.body) as { id: string };
    const answer = await this.post(agent, `/records/${id}/seal?wait=${wait}`, '');
    if (answer?.status !== 201) {
      if (!answer || answer.status >= 500) this.unsure.push(id);
      return false;
    }
    const { recordId, chainId, height, blockHash, state } = JSON.parse(answer.body) as Seal;
    this.acknowledged.push({ recordId, chainId, height, blockHash, state });
    if (wait === 'logged' && state !== 'logged') this.fail('201 without a proof');
    const now = performance.now();
    this.longestGap = Math.max(this.longestGap, now - this.last);
    this.last = now;
    return true;
  }

  /** Null when the connection broke. */
  private async post(agent: Agent, path: string, body: string): Promise<Reply | null> {
    try {
      const reply = await this.send(agent, path, body);
      if (reply.status !== 201) this.fail(`${reply.status} ${/"code":"(\w+)"/.exec(reply.body)?.[1] ?? ''}`);
      return reply;
    } catch (error) {
      this.fail(error instanceof Error ? error.message : 'unknown');
      return null;
    }
  }

  private send(agent: Agent, path: string, body: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${this.token()}`,
        'content-length': String(Buffer.byteLength(body)),
        ...(body === '' ? {} : { 'content-type': 'application/json' }),
      };
      const sent = request(`${this.url}/api/v1${path}`, { method: 'POST', agent, headers, timeout: TIMEOUT_MS }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.once('error', reject);
        response.once('aborted', () => reject(new Error('cut off')));
      });
      sent.once('timeout', () => sent.destroy(new Error('no answer in time')));
      sent.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(`${error.code ?? error.message}${sent.reusedSocket ? ' (kept)' : ''}`)),
      );
      sent.end(body);
    });
  }

  private fail(what: string): void {
    this.failures.set(what, (this.failures.get(what) ?? 0) + 1);
  }
}
