import { setTimeout as sleep } from 'node:timers/promises';

/** Requests that go on until `stop`. */
export interface Load {
  /** How many were answered as they should. */
  readonly done: () => number;
  /** What was answered otherwise. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** Each worker sends one request after another; `send` says with which status it was answered, and which is right. */
export function startLoad(
  workers: readonly (() => Promise<{ status: number; text: string }>)[],
  right: readonly number[] = [200, 201],
): Load {
  const failures: string[] = [];
  let [open, done] = [true, 0];
  const running = workers.map(async (send, index) => {
    while (open) {
      const { status, text } = await send();
      if (right.includes(status)) done += 1;
      else failures.push(`worker ${index}: ${status} ${text}`);
      await sleep(2);
    }
  });
  return {
    done: () => done,
    failures,
    async stop() {
      open = false;
      await Promise.all(running);
    },
  };
}
