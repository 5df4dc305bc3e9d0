import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Started } from './banner';
import { Ipc } from './common/ipc';

/** A worker that lives no longer than this never really worked. */
const QUICK_MS = 10_000;
/** So many of them in a row, and the cluster gives up. */
const MOST_QUICK = 5;
const PAUSE_MS = 100;
/** How long one worker waits for the metrics of another. */
const SIBLING_MS = 1_000;

interface Member {
  readonly number: number;
  readonly worker: Worker;
  readonly ipc: Ipc;
}

/**
 * The server processes of a cluster. Each has a number, which one that takes the place of a dead one inherits. They come one after another: the first makes
 * keys and tables.
 */
export class ClusterWorkers {
  /** Resolves when the cluster has ended: true when it was told to, and every worker finished what it did. */
  readonly whenOver: Promise<boolean>;
  private readonly members = new Map<number, Member>();
  private leader: Member | undefined;
  private quickDeaths = 0;
  private isEnding = false;
  private isSound = true;
  private over: (isSound: boolean) => void = () => undefined;

  /** `say` tells the operator. */
  constructor(private readonly say: (line: string) => void) {
    this.whenOver = new Promise((resolve) => (this.over = resolve));
  }

  /** Starts so many, and keeps them running until the end. Null when one of them ended before it listened, having said why: then the cluster ends. */
  async start(count: number): Promise<Started | null> {
    let first: Started | null = null;
    for (let number = 1; number <= count && !this.isEnding; number += 1) {
      const started = await this.add(number);
      if (!started) return (this.giveUp(), null);
      first ??= started;
    }
    return first;
  }

  /** Process ids in the order of their numbers. */
  get pids(): readonly number[] {
    return [...this.members.values()].sort((a, b) => a.number - b.number).map(({ worker }) => worker.process.pid ?? 0);
  }

  /** Lets all of them finish. */
  end(): void {
    this.isEnding = true;
    for (const { ipc } of this.members.values()) ipc.tell('end');
    if (this.members.size === 0) this.over(this.isSound);
  }

  kill(): void {
    for (const { worker } of this.members.values()) worker.process.kill('SIGKILL');
  }

  private giveUp(): void {
    if (!this.isEnding) this.isSound = false;
    this.end();
  }

  /** Resolves when it listens, or with null when it ended before. */
  private add(number: number): Promise<Started | null> {
    const worker = cluster.fork({ CLUSTER_WORKER: String(number) });
    const member = { number, worker, ipc: new Ipc(worker.process) };
    const bornAt = performance.now();
    this.members.set(number, member);
    this.connect(member);
    return new Promise((resolve) => {
      let hasStarted = false;
      member.ipc.handle('started', (started) => {
        hasStarted = true;
        resolve(started as Started);
      });
      worker.once('exit', (code: number | null, signal: string | null) => {
        // Who ends with 0 was told to: workers may be replaced one by one.
        this.quickDeaths = code !== 0 && performance.now() - bornAt < QUICK_MS ? this.quickDeaths + 1 : 0;
        this.remove(member, code === 0);
        if (hasStarted) void this.replace(member, signal ?? `exit code ${code}`);
        else resolve(null);
      });
    });
  }

  private remove(member: Member, isSound: boolean): void {
    this.members.delete(member.number);
    if (this.leader === member) this.leader = undefined;
    if (!this.isEnding) return;
    this.isSound &&= isSound;
    if (this.members.size === 0) this.over(this.isSound);
  }

  /** What workers ask of each other. */
  private connect(member: Member): void {
    const others = () => [...this.members.values()].filter((other) => other !== member);
    member.ipc.handle('news', (news) => others().forEach(({ ipc }) => ipc.tell('news', news)));
    member.ipc.handle('lead', () => (this.leader ??= member) === member);
    member.ipc.handle('metrics', async () => {
      const figures = await Promise.all(others().map(({ ipc }) => ipc.ask('metrics', null, SIBLING_MS)));
      return figures.filter((known) => known !== undefined);
    });
  }

  private async replace({ number, worker }: Member, cause: string): Promise<void> {
    let reason = `worker ${number} (pid ${worker.process.pid}) ended (${cause})`;
    while (!this.isEnding) {
      if (this.quickDeaths >= MOST_QUICK) {
        this.say(`${reason}; ${MOST_QUICK} of them in a row ended soon, so the cluster ends`);
        return this.giveUp();
      }
      await sleep(PAUSE_MS * 2 ** this.quickDeaths);
      if (this.isEnding) return;
      if (await this.add(number)) return this.say(`${reason}; pid ${this.members.get(number)?.worker.process.pid} took its place`);
      reason = `worker ${number} did not start`;
    }
  }
}
