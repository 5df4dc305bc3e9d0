import { FormatError, HASH_BYTES, isUuid, requireBytes } from './bytes';
import { genesisHash } from './header';

/**
 * Why something was erased: the grounds of Article 17(1) of Regulation (EU) 2016/679, points a to f. Codes only: a free text could
 * hold what is to be forgotten.
 */
export const ERASURE_REASONS = [
  'no-longer-necessary',
  'consent-withdrawn',
  'objection',
  'unlawful-processing',
  'legal-obligation',
  'collected-from-child',
] as const;
export type ErasureReason = (typeof ERASURE_REASONS)[number];

/** What the payload of an ERASE block says; ids are UUIDs in lower case. */
export interface ErasureStatement {
  /** `patient`: every content below the ERASE block. */
  readonly scope: 'record' | 'patient';
  /** The erased record; null for a whole patient. */
  readonly erases: string | null;
  /** Block hash of the erased record, 64 hexadecimal digits in lower case; null for a whole patient. */
  readonly blockHash: string | null;
  readonly reason: ErasureReason;
  /** The two different accounts that approved, in the order in which they did. */
  readonly approvedBy: readonly [string, string];
}

const SCHEMA = 'bjwt.erasure/1';
const MAX_BYTES = 1024;
const HASH = /^[0-9a-f]{64}$/;

/** The payload of an ERASE block: JSON without white space, its members in this order. @throws FormatError as {@link parseErasure} */
export function erasureText(statement: ErasureStatement): string {
  return serialise(checked({ schema: SCHEMA, ...statement }));
}

/**
 * Reads a payload strictly: the bytes must be those that {@link erasureText} writes.
 * @throws FormatError whose `field` is `erasure` or `erasure.<member>`
 */
export function parseErasure(payload: Uint8Array): ErasureStatement {
  const bytes = Buffer.from(payload);
  if (bytes.length > MAX_BYTES) throw new FormatError('erasure', `has more than ${MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new FormatError('erasure', 'is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new FormatError('erasure', 'is not an object');
  const statement = checked(value);
  if (!Buffer.from(serialise(statement), 'utf8').equals(bytes)) throw new FormatError('erasure', 'is not in the one accepted form');
  return statement;
}

/** The refHash that belongs to a statement: the erased block, or for a whole patient the chain's genesis hash. @throws RangeError on a wrong size */
export function erasureRef(statement: ErasureStatement, ledgerId: Uint8Array, chainId: Uint8Array): Buffer {
  const ref = statement.blockHash === null ? genesisHash(ledgerId, chainId) : Buffer.from(statement.blockHash, 'hex');
  requireBytes('blockHash', ref, HASH_BYTES);
  return ref;
}

function serialise({ scope, erases, blockHash, reason, approvedBy }: ErasureStatement): string {
  return JSON.stringify({ schema: SCHEMA, scope, erases, blockHash, reason, approvedBy });
}

function checked(value: object): ErasureStatement {
  const member = (name: string): unknown => Reflect.get(value, name);
  const [scope, erases, blockHash, approvedBy] = [member('scope'), member('erases'), member('blockHash'), member('approvedBy')];
  if (member('schema') !== SCHEMA) throw new FormatError('erasure.schema', `is not ${SCHEMA}`);
  if (scope !== 'record' && scope !== 'patient') throw new FormatError('erasure.scope', 'is unknown');
  const reason = ERASURE_REASONS.find((code) => code === member('reason'));
  if (reason === undefined) throw new FormatError('erasure.reason', 'is unknown');
  const [first, second, ...more] = Array.isArray(approvedBy) ? (approvedBy as unknown[]) : [];
  if (!isUuid(first) || !isUuid(second) || more.length > 0 || first === second)
    throw new FormatError('erasure.approvedBy', 'does not name two different accounts');
  if (scope === 'patient') {
    if (erases !== null) throw new FormatError('erasure.erases', 'must be null');
    if (blockHash !== null) throw new FormatError('erasure.blockHash', 'must be null');
    return { scope, erases, blockHash, reason, approvedBy: [first, second] };
  }
  if (!isUuid(erases)) throw new FormatError('erasure.erases', 'is not a lower-case UUID');
  if (typeof blockHash !== 'string' || !HASH.test(blockHash)) throw new FormatError('erasure.blockHash', 'is not a hash');
  return { scope, erases, blockHash, reason, approvedBy: [first, second] };
}
