/** Runs at most `concurrency` tasks at once and lets at most `waiting` others wait, first come, first served; `full` is what further ones are told. */
export class BoundedQueue {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(
    private readonly concurrency: number,
    private readonly waiting: number,
    private readonly full: () => Error,
  ) {}

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#waiting.length;
  }

  /** @throws what `full` makes, at once, without waiting, when the queue is full */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.concurrency) this.#running++;
    else if (this.#waiting.length < this.waiting) await new Promise<void>((turn) => this.#waiting.push(turn));
    else throw this.full();
    try {
      return await task();
    } finally {
      // A place is handed over, not freed and taken again: nobody can slip in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
