import { setTimeout as sleep } from 'node:timers/promises';
import { Together } from './together';

describe('Together', () => {
  test('what is asked in one turn is answered at once, in its order; what comes later, later', async () => {
    const rounds: number[][] = [];
    const doubled = new Together(async (numbers: readonly number[]) => {
      rounds.push([...numbers]);
      await sleep(5);
      return numbers.map((number) => number * 2);
    });
    const first = [1, 2, 3].map((number) => doubled.ask(number));
    await sleep(1);
    const later = doubled.ask(4);
    expect(await Promise.all([...first, later])).toEqual([2, 4, 6, 8]);
    expect(rounds).toEqual([[1, 2, 3], [4]]);
  });

  test('all who asked learn of an error, and the next ones are answered', async () => {
    let isBroken = true;
    const echo = new Together((words: readonly string[]) => (isBroken ? Promise.reject(new Error('broken')) : Promise.resolve(words)));
    const settled = await Promise.allSettled([echo.ask('a'), echo.ask('b')]);
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isBroken = false;
    expect(await echo.ask('c')).toBe('c');
  });
});
