import { complaintsOf, soak } from '../fuzz/soak';

(process.platform === 'linux' ? test : test.skip)(
  'SEC-76 2,000 mixed hostile requests: the server lives, memory and open files stay flat',
  async () => {
    const report = await soak(2_000, 20_261_122);
    expect(complaintsOf(report)).toEqual([]);
    for (const status of [200, 400, 401, 403, 404, 415]) expect([status, report.statuses[status]]).toEqual([status, expect.any(Number)]);
  },
  120_000,
);
