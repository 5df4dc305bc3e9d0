import { newSeed, seedUri, stepOfCode } from './totp';

/** `12345678901234567890`, the SHA-1 secret of RFC 6238 Appendix B, as base32. */
const SEED = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const STEP = 30;

// Appendix B has eight digits; six digits are the last six of them (RFC 4226 section 5.3).
const VECTORS: readonly (readonly [seconds: number, code: string])[] = [
  [59, '94287082'],
  [1111111109, '07081804'],
  [1111111111, '14050471'],
  [1234567890, '89005924'],
  [2000000000, '69279037'],
  [20000000000, '65353130'],
];

test.each(VECTORS)('SEC-43 RFC 6238 Appendix B: at %i s', (seconds, code) => {
  const step = Math.floor(seconds / STEP);
  expect(stepOfCode(SEED, code.slice(2), seconds * 1000, 0)).toBe(step);
  expect(stepOfCode(SEED, code.slice(2), seconds * 1000, step)).toBeNull(); // used
});

test('SEC-43 a code is good in its step and one before or after it, and in no other', () => {
  const at = 1_234_567_890 - (1_234_567_890 % STEP);
  const good = (offset: number) => stepOfCode(SEED, '005924', (at + offset) * 1000, 0) !== null;
  expect([-STEP - 1, -STEP, -1, 0, STEP - 1, STEP, 2 * STEP - 1, 2 * STEP].map(good)).toEqual([
    false,
    true,
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
});

test('SEC-43 seeds have 160 random bits, and the address for the app says so', () => {
  const seeds = new Set(Array.from({ length: 50 }, newSeed));
  expect(seeds.size).toBe(50);
  for (const seed of seeds) expect(seed).toMatch(/^[A-Z2-7]{32}$/);
  const uri = new URL(seedUri(SEED, 'dr.ada'));
  expect([uri.protocol, uri.host, decodeURIComponent(uri.pathname)]).toEqual(['otpauth:', 'totp', '/BJWT-EHR:dr.ada']);
  expect(uri.searchParams.get('secret')).toBe(SEED);
});
