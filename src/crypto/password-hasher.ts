import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, parseOptions, verify, type Options } from '@node-rs/argon2';
import { BoundedQueue } from '../common/bounded-queue';
import { isWellFormed } from './bytes';
import { CryptoError, HasherBusy } from './crypto-error';
import { DataKey } from './data-key';
import { type Binding, openBound, sealBound } from './envelope';
import type { RootKeys } from './root-keys';
import { Sealed } from './sealed';

/** Cost of Argon2id (RFC 9106) and of waiting for it. */
export interface HasherParameters {
  /** KiB of memory for each hash, parameter m. */
  readonly memoryKiB: number;
  /** Parameter t. */
  readonly passes: number;
  /** Parameter p. */
  readonly parallelism: number;
  /** Hashes at once; default 2 x cores. (libuv's thread pool, 4 threads by default, is a second limit.) */
  readonly concurrency?: number;
  /** Callers that may wait; default 50. */
  readonly queue?: number;
}

/** OWASP's minimum: 19 MiB, 2 passes, 1 lane; about 18 ms. */
export const DEFAULT_HASHER: HasherParameters = { memoryKiB: 19_456, passes: 2, parallelism: 1 };

/**
 * Port: makes and checks password hashes. The hash is a PHC string sealed with the pepper key and bound to the account, so that a stolen
 * database allows no guessing, and the hash of one account cannot be put in place of another's. Never call it inside a transaction: it waits.
 * Passwords are compared in NFKC (NIST SP 800-63B-4 section 3.1.1.2), so that keyboards that compose letters differently agree.
 */
export abstract class PasswordHasher {
  /** Hashes that are being computed, and callers that wait for their turn. */
  abstract readonly load: { readonly running: number; readonly waiting: number };

  /** @throws HasherBusy; CryptoError `bad_value` for a lone surrogate, `bad_context` */
  abstract hash(accountId: string, password: string): Promise<Sealed>;

  /**
   * @param sealed null when there is no such account: then a verification of equal cost runs, and the answer is false
   * @throws HasherBusy; CryptoError `envelope_*` when the stored hash was altered or moved
   */
  abstract verify(accountId: string, sealed: Sealed | null, password: string): Promise<boolean>;

  /** Whether the hash was made with other parameters than today's: hash again after the next successful login. Errors as `verify`. */
  abstract needsRehash(accountId: string, sealed: Sealed): boolean;
}

const HASH_BYTES = 32;
const SALT_BYTES = 16;
const ARGON2ID = 2;
const VERSION_19 = 1;

const binding = (accountId: string): Binding => ({ label: 'ehr/password/v1', parts: [accountId] });

/** Argon2id by @node-rs/argon2. */
export class Argon2idHasher extends PasswordHasher {
  readonly #pepper: DataKey;
  readonly #options: Options;
  readonly #queue: BoundedQueue;
  readonly #nobody: Sealed;

  constructor(
    keys: Pick<RootKeys, 'pepperKey'>,
    private readonly parameters: HasherParameters = DEFAULT_HASHER,
  ) {
    super();
    const { memoryKiB, passes, parallelism, concurrency = 2 * availableParallelism(), queue = 50 } = parameters;
    this.#pepper = new DataKey(keys.pepperKey);
    this.#options = {
      algorithm: ARGON2ID,
      version: VERSION_19,
      memoryCost: memoryKiB,
      timeCost: passes,
      parallelism,
      outputLen: HASH_BYTES,
    };
    this.#queue = new BoundedQueue(concurrency, queue, () => new HasherBusy());
    // A hash that no password has, with the cost of a real one. It passes through the same steps: opened, parsed, computed, compared.
    const [salt, digest] = [SALT_BYTES, HASH_BYTES].map((length) =>
      randomBytes(length)
        .toString('base64')
        .replace(/={1,2}$/, ''),
    );
    this.#nobody = this.#seal('nobody', `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${salt}$${digest}`);
  }

  override get load(): { running: number; waiting: number } {
    return { running: this.#queue.running, waiting: this.#queue.queued };
  }

  override hash(accountId: string, password: string): Promise<Sealed> {
    return this.#queue.run(async () => {
      if (!isWellFormed(password)) throw new CryptoError('bad_value');
      return this.#seal(accountId, await hash(password.normalize('NFKC'), this.#options));
    });
  }

  override verify(accountId: string, sealed: Sealed | null, password: string): Promise<boolean> {
    return this.#queue.run(async () => {
      const isPossible = sealed !== null && isWellFormed(password); // no hash was ever made of an ill-formed password
      const phc = isPossible ? this.#open(accountId, sealed) : this.#open('nobody', this.#nobody);
      return (await verify(phc, password.normalize('NFKC'))) && isPossible;
    });
  }

  override needsRehash(accountId: string, sealed: Sealed): boolean {
    const made = parseOptions(this.#open(accountId, sealed));
    const { memoryKiB, passes, parallelism } = this.parameters;
    const isCurrent =
      Number(made.algorithm) === ARGON2ID && made.memoryCost === memoryKiB && made.timeCost === passes && made.parallelism === parallelism;
    return !isCurrent || made.outputLen !== HASH_BYTES;
  }

  #seal(accountId: string, phc: string): Sealed {
    return new Sealed(sealBound(this.#pepper, binding(accountId), phc));
  }

  #open(accountId: string, sealed: Sealed): string {
    const phc = openBound(this.#pepper, binding(accountId), sealed.bytes);
    if (typeof phc !== 'string') throw new CryptoError('envelope_wrong_type');
    return phc;
  }
}
