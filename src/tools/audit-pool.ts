import { extname, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { AuditError, type AuditSetup } from './audit-source';
import type { AuditHand, AuditMode, AuditResult, AuditTask } from './audit-tasks';

/** What a thread is started with. */
export interface WorkerSetup {
  readonly setup: AuditSetup;
  readonly mode: AuditMode;
  readonly bits: ReadonlyMap<number, Int32Array>;
}

/** Something that does tasks, a number of them at once. */
export interface AuditRunner {
  readonly width: number;
  run(task: AuditTask): Promise<AuditResult>;
  close(): Promise<void>;
}

/** In the thread of the caller: for small data, where starting threads would take longer than the work. */
export function ownThread(hand: AuditHand): AuditRunner {
  return { width: 1, run: (task) => hand.run(task), close: () => Promise.resolve() };
}

/** One that does one task at a time. */
interface Hand {
  run(task: AuditTask): Promise<AuditResult>;
}

/** Threads that each do one task at a time. The caller's own is one of them: it begins at once, while the others still load their code. */
export class AuditPool implements AuditRunner {
  readonly width: number;
  private readonly idle: Hand[];
  private readonly waiting: ((hand: Hand) => void)[] = [];
  private readonly others: OtherThread[];

  /** @param threads how many, with the caller's own; at least one */
  constructor(threads: number, setup: WorkerSetup, own: AuditHand) {
    this.others = Array.from({ length: threads - 1 }, () => new OtherThread(setup));
    this.idle = [own, ...this.others]; // the last one is asked first: others have the longer way
    this.width = threads;
  }

  async run(task: AuditTask): Promise<AuditResult> {
    const hand = this.idle.pop() ?? (await new Promise<Hand>((resolve) => this.waiting.push(resolve)));
    const result = await hand.run(task);
    const next = this.waiting.shift();
    if (next) next(hand);
    else this.idle.push(hand);
    return result;
  }

  async close(): Promise<void> {
    await Promise.all(this.others.map((thread) => thread.close()));
  }
}

/** A worker thread with a connection of its own. */
class OtherThread implements Hand {
  private readonly worker: Worker;
  private readonly end: Promise<never>;

  constructor(workerData: WorkerSetup) {
    const file = join(__dirname, `audit-worker${extname(__filename)}`);
    // Uncompiled (tests): the thread compiles what it loads, as this one does.
    const execArgv = extname(file) === '.ts' ? ['-r', join(__dirname, '../../tools/swc-register.cjs')] : [];
    this.worker = new Worker(file, { workerData, execArgv });
    this.end = endOf(this.worker);
  }

  run(task: AuditTask): Promise<AuditResult> {
    const answer = new Promise<AuditResult>((resolve) =>
      this.worker.once('message', (bytes: Uint8Array) => resolve(deserialize(bytes) as AuditResult)),
    );
    this.worker.postMessage(serialize(task));
    return Promise.race([answer, this.end]);
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Rejects when the thread ends before its work. Watched from the start: a thread can fail while it waits. */
function endOf(worker: Worker): Promise<never> {
  const end = new Promise<never>((_resolve, reject) => {
    worker.once('error', (error) => reject(error instanceof Error ? error : new AuditError('a thread of the audit failed')));
    worker.once('exit', () => reject(new AuditError('a thread of the audit ended before its work')));
  });
  end.catch(() => undefined);
  return end;
}
