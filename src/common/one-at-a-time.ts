import { BoundedQueue } from './bounded-queue';
import { ApiError } from './errors';

/**
 * Does heavy work piece by piece: one runs, the others wait in the order in which they came, at most `maxWaiting` of them; the rest is refused with `unavailable`.
 * Why: what keeps the one thread busy for a second must not be multiplied by how many ask for it at once.
 */
export class OneAtATime extends BoundedQueue {
  constructor(maxWaiting = 8) {
    super(
      1,
      maxWaiting,
      () => new ApiError('unavailable', 'Too many requests of this kind are waiting', { headers: { 'retry-after': '5' } }),
    );
  }
}
