import { inSpan, type Span } from '../common/tracing';
import type { Work } from './executor';

/**
 * A unit as a span, with others below: its wait for the executor, its work (each time that it ran), its wait for a durable commit. An executor may run it
 * where another unit's request is current: its work is put back below its own.
 */
export function tracedUnit<T>(run: (work: Work<T>) => Promise<T>, work: Work<T>): Promise<T> {
  return inSpan('database.unit', async (unit) => {
    const wait = unit?.begin('database.wait');
    let commit: Span | undefined;
    const observed: Work<T> = async (tx) => {
      wait?.end();
      commit?.end(true);
      const place = unit?.begin('database.work');
      const value = await (place ? place.around(() => work(tx)) : work(tx));
      commit = unit?.begin('database.commit');
      return value;
    };
    try {
      const value = await run(observed);
      commit?.end();
      return value;
    } finally {
      wait?.end(true);
      commit?.end(true);
    }
  });
}
