import cluster from 'node:cluster';

/** One end of Node's channel between two processes: `process`, or a child. */
interface End {
  readonly connected: boolean;
  send?(message: object, handle: undefined, options: undefined, done: () => void): boolean;
  on(event: 'message' | 'disconnect', listener: (message: unknown) => void): unknown;
}

interface Call {
  readonly name: string;
  readonly value: unknown;
  /** Number of the call; nothing is answered to a call without one. */
  readonly id?: number;
}
interface Reply {
  readonly replyTo: number;
  /** Undefined when the other side has no answer. */
  readonly value?: unknown;
}

/** How long to wait for an answer: a process that is busy for longer is as good as none. */
const PATIENCE_MS = 2_000;

/** Calls between a process and its parent, both ways, by name. Nothing waits for ever: who gets no answer in time gets `undefined`. */
export class Ipc {
  private readonly handlers = new Map<string, (value: unknown) => unknown>();
  private readonly waiting = new Map<number, (value: unknown) => void>();
  private calls = 0;

  constructor(private readonly end: End) {
    end.on('message', (message) => this.take(message as Call | Reply));
    end.on('disconnect', () => this.waiting.forEach((answer) => answer(undefined)));
  }

  /** What the other side may call, and what it is answered. */
  handle(name: string, handler: (value: unknown) => unknown): void {
    this.handlers.set(name, handler);
  }

  tell(name: string, value?: unknown): void {
    this.send({ name, value });
  }

  /** What the other side answers; undefined when it does not, or not in time. */
  ask(name: string, value?: unknown, patienceMs = PATIENCE_MS): Promise<unknown> {
    const id = ++this.calls;
    return new Promise((resolve) => {
      const answer = (reply: unknown) => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(reply);
      };
      const timer = setTimeout(answer, patienceMs, undefined);
      this.waiting.set(id, answer);
      if (!this.send({ name, value, id })) answer(undefined);
    });
  }

  private take(message: Call | Reply): void {
    if ('replyTo' in message) this.waiting.get(message.replyTo)?.(message.value);
    else void this.serve(message);
  }

  private async serve({ name, value, id }: Call): Promise<void> {
    const answer = await Promise.resolve(value)
      .then((given) => this.handlers.get(name)?.(given))
      .catch(() => undefined);
    if (id !== undefined) this.send({ replyTo: id, value: answer });
  }

  /** The other side may end at any moment: then nobody needs the message, and the error that says so must not end this process. */
  private send(message: Call | Reply): boolean {
    if (!this.end.connected) return false;
    this.end.send?.(message, undefined, undefined, () => undefined);
    return true;
  }
}

/** The primary process (src/cluster.ts) as its workers see it; null in a server that is one process. */
export const primary = cluster.isWorker ? new Ipc(process) : null;
