import { BoundedQueue } from './bounded-queue';

it('BoundedQueue never runs more at once than allowed, keeps the order, and survives failing tasks', async () => {
  const queue = new BoundedQueue(2, 50, () => new Error('full'));
  let running = 0;
  let peak = 0;
  const order: number[] = [];
  const task = (n: number) => async () => {
    order.push(n);
    peak = Math.max(peak, ++running);
    await new Promise((done) => setTimeout(done, 1));
    running--;
    if (n % 3 === 0) throw new Error('fails');
  };
  await Promise.allSettled(Array.from({ length: 30 }, (_, n) => queue.run(task(n))));
  expect(peak).toBe(2);
  expect(order).toEqual([...Array(30).keys()]);
  expect([queue.running, queue.queued]).toEqual([0, 0]);
});
