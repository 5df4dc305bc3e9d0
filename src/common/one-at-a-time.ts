import { ApiError } from './errors';

/**
 * Does heavy work piece by piece: one runs, the others wait in the order in which they came, at most `maxWaiting` of them. Why: what keeps the
 * one thread busy for a second must not be multiplied by how many ask for it at once.
 */
export class OneAtATime {
  private last: Promise<unknown> = Promise.resolve();
  private under = 0;

  constructor(private readonly maxWaiting = 8) {}

  /** Resolves with what `work` gives, after its turn came. @throws ApiError `unavailable` at once when too many wait */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.under > this.maxWaiting)
      throw new ApiError('unavailable', 'Too many requests of this kind are waiting', { headers: { 'retry-after': '5' } });
    this.under += 1;
    const turn = this.last.then(work);
    this.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.under -= 1;
    }
  }
}
