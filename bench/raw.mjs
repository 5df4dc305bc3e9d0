/** What the machine can do when nothing is around it: the raw rates that some rows are divided by. */
import { generateKeyPairSync, hash, sign, verify } from 'node:crypto';
import { hash as argon2, verify as argon2Verify } from '@node-rs/argon2';
import { cpuMs } from './processes.mjs';

const SIGNATURES = 1500;
/** The defaults of our server (ARGON2_MEMORY_KIB, ARGON2_PASSES). */
const ARGON2ID = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** SHA-256 over these bytes at once, MB/s on one core; repeated to some 100 ms. */
export function rawSha256(bytes) {
  const times = Math.max(4, Math.ceil(6e7 / bytes.length));
  const started = performance.now();
  for (let index = 0; index < times; index += 1) hash('sha256', bytes, 'buffer');
  return (bytes.length * times) / 1e6 / ((performance.now() - started) / 1000);
}

/** Ed25519 verifications per second of an attestation's size, on one core. */
export function rawEd25519() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const text = Buffer.alloc(520, 'a');
  const signature = sign(null, text, privateKey);
  const started = performance.now();
  for (let index = 0; index < SIGNATURES; index += 1) if (!verify(null, text, publicKey, signature)) throw new Error('Ed25519');
  return SIGNATURES / ((performance.now() - started) / 1000);
}

/** Argon2id verifications, `lanes` at once, for some `seconds`; as a measure. */
export async function rawArgon2id(seconds, lanes) {
  const phc = await argon2('violet kettle walks north', ARGON2ID);
  const before = cpuMs(process.pid);
  const started = performance.now();
  let count = 0;
  const lane = async () => {
    while (performance.now() - started < seconds * 1000) {
      await argon2Verify(phc, 'violet kettle walks north');
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const elapsed = (performance.now() - started) / 1000;
  return { rate: count / elapsed, count, seconds: elapsed, cpuUs: ((cpuMs(process.pid) - before) * 1000) / count, loadShare: null };
}
