import { setImmediate as nextTurn } from 'node:timers/promises';
import { OneAtATime } from './one-at-a-time';

describe('OneAtATime', () => {
  it('runs one after another in the order of arrival, whatever fails', async () => {
    const queue = new OneAtATime();
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} begins`);
      await nextTurn();
      seen.push(`${name} ends`);
      if (name === 'a') throw new Error('a fails');
      return name;
    };
    const done = await Promise.allSettled(['a', 'b', 'c'].map((name) => queue.run(work(name))));
    expect(done.map((item) => item.status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('ATTACK many at once: beyond those who may wait the answer is 503, and later ones are served again', async () => {
    const queue = new OneAtATime(2);
    const done = await Promise.allSettled(Array.from({ length: 5 }, (_, n) => queue.run(() => nextTurn(n))));
    expect(done.map((item) => item.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect(done[4]).toMatchObject({ reason: { code: 'unavailable', extra: { headers: { 'retry-after': '5' } } } });
    expect(await queue.run(() => Promise.resolve('again'))).toBe('again');
  });
});
