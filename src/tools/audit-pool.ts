import { extname, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { LeafMarks } from '../tlog/leaf-marks';
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

interface Hand {
  readonly worker: Worker;
  readonly end: Promise<never>;
}

/** Threads that each do one task at a time. */
export class AuditPool implements AuditRunner {
  readonly width: number;
  private readonly idle: Hand[];
  private readonly waiting: ((hand: Hand) => void)[] = [];
  private readonly hands: Hand[];

  constructor(threads: number, setup: AuditSetup, mode: AuditMode, marks: LeafMarks) {
    const workerData: WorkerSetup = { setup, mode, bits: marks.bits };
    const file = join(__dirname, `audit-worker${extname(__filename)}`);
    // Uncompiled (tests): the thread compiles what it loads, as this one does.
    const execArgv = extname(file) === '.ts' ? ['-r', join(__dirname, '../../tools/swc-register.cjs')] : [];
    this.hands = Array.from({ length: threads }, () => {
      const worker = new Worker(file, { workerData, execArgv });
      return { worker, end: endOf(worker) };
    });
    this.idle = [...this.hands];
    this.width = threads;
  }

  async run(task: AuditTask): Promise<AuditResult> {
    const hand = this.idle.pop() ?? (await new Promise<Hand>((resolve) => this.waiting.push(resolve)));
    const result = await answerOf(hand, serialize(task));
    const next = this.waiting.shift();
    if (next) next(hand);
    else this.idle.push(hand);
    return result;
  }

  async close(): Promise<void> {
    await Promise.all(this.hands.map(({ worker }) => worker.terminate()));
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

function answerOf({ worker, end }: Hand, task: Uint8Array): Promise<AuditResult> {
  const answer = new Promise<AuditResult>((resolve) =>
    worker.once('message', (bytes: Uint8Array) => resolve(deserialize(bytes) as AuditResult)),
  );
  worker.postMessage(task);
  return Promise.race([answer, end]);
}
