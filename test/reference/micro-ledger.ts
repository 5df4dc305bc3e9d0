import { createHash } from 'node:crypto';

/**
 * A second, slow and obvious implementation of headers, commitments, hashes and links, written from the ledger format alone. It shares no code
 * with `src/ledger/core` and works on hexadecimal text, so that the two are unlikely to be wrong in the same way.
 */

export interface MicroHeader {
  readonly kind: number;
  readonly ledgerId: string;
  readonly chainId: string;
  readonly height: number;
  readonly sealedAt: number;
  readonly prevHash: string;
  readonly contentCommit: string;
  readonly ciphertextHash: string;
  readonly attestationHash: string;
  readonly authorKeyId: string;
  readonly refHash: string;
}

const hexOfText = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
const hexOfNumber = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, '0');
const microLabel = (name: string): string => hexOfText(`bjwt-ehr/${name}/v1\n`);

export const microSha256 = (hex: string): string => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

/** RFC 2104, spelled out; the key is 32 bytes, padded with zeros to the 64-byte block of SHA-256. */
export function microHmac(keyHex: string, hex: string): string {
  const key = keyHex.padEnd(128, '0');
  const xor = (byte: number): string => key.replace(/../g, (pair) => hexOfNumber(parseInt(pair, 16) ^ byte, 1));
  return microSha256(xor(0x5c) + microSha256(xor(0x36) + hex));
}

/** RFC 5869 for one digest of output: extract with an all-zero salt, expand with the counter 1. */
export const microHkdf = (keyHex: string, info: string): string => microHmac(microHmac('', keyHex), `${hexOfText(info)}01`);

export const microOpening = (recordKey: string): string => microHkdf(recordKey, 'bjwt-ehr/open/v1');

export const microCommit = (opening: string, payload: string): string =>
  microHmac(opening, microLabel('com') + hexOfNumber(payload.length / 2, 8) + payload);

export const microLedgerId = (origin: string): string => microSha256(hexOfText(origin));

export const microGenesis = (ledgerId: string, chainId: string): string => microSha256(microLabel('gen') + ledgerId + chainId);

export const microHeader = (header: MicroHeader): string =>
  [
    microLabel('blk'),
    hexOfNumber(header.kind, 1),
    '00',
    header.ledgerId,
    header.chainId,
    hexOfNumber(header.height, 8),
    hexOfNumber(header.sealedAt, 8),
    header.prevHash,
    header.contentCommit,
    header.ciphertextHash,
    header.attestationHash,
    header.authorKeyId,
    header.refHash,
  ].join('');

export const microBlockHash = (header: MicroHeader): string => microSha256(microHeader(header));

/** The heights at which a list of headers is not a chain: wrong height, or a link that is not the hash of the header below. */
export function microBrokenAt(ledgerId: string, chainId: string, headers: readonly MicroHeader[]): number[] {
  const broken: number[] = [];
  let below = microGenesis(ledgerId, chainId);
  headers.forEach((header, height) => {
    if (header.height !== height || header.prevHash !== below) broken.push(height);
    below = microBlockHash(header);
  });
  return broken;
}

/**
 * What is left of the contents that are gone: heights that no ERASE block (kind 4) excuses, and pairs of an erased height and the one that excuses it.
 * An ERASE block excuses a lower block that its refHash names, or every lower block when its refHash is the genesis hash. Each of the blocks is
 * taken to be flawless.
 */
export function microErased(
  ledgerId: string,
  chainId: string,
  headers: readonly MicroHeader[],
  gone: readonly boolean[],
): { missing: number[]; erased: string[] } {
  const missing: number[] = [];
  const erased: string[] = [];
  headers.forEach((header, height) => {
    if (gone[height] !== true || header.contentCommit === '00'.repeat(32)) return;
    const names = [microBlockHash(header), microGenesis(ledgerId, chainId)];
    const by = headers.findIndex((other, above) => above > height && other.kind === 4 && names.includes(other.refHash));
    if (by < 0) missing.push(height);
    else erased.push(`${height} by ${by}`);
  });
  return { missing, erased };
}

const TEN_MINUTES = 600_000;

/** The heights whose time of sealing lies more than ten minutes behind that of some block below. */
export function microBackdatedAt(headers: readonly MicroHeader[]): number[] {
  return headers.flatMap(({ sealedAt }, height) =>
    headers.slice(0, height).some((below) => below.sealedAt - sealedAt > TEN_MINUTES) ? [height] : [],
  );
}

/** Whether a time of signing (s) is too far from the time of sealing (ms). */
export const microClockDiffers = (iat: number, sealedAt: number): boolean =>
  iat * 1000 < sealedAt - TEN_MINUTES || iat * 1000 > sealedAt + TEN_MINUTES;

/** What the log says about one key: the places of its two events; null when there is none. Places are those of a tape that is only written at its end. */
export interface MicroKey {
  readonly registered: number | null;
  readonly revoked: number | null;
}

/** The code for a block that stands at `place` of the tape (null: nowhere) under this key, or null when it counts. */
export function microKeyCode(key: MicroKey, place: number | null): 'KEY_UNKNOWN' | 'KEY_REVOKED' | null {
  if (key.revoked !== null && (place === null || place > key.revoked)) return 'KEY_REVOKED';
  if (key.registered !== null && place !== null && place < key.registered) return 'KEY_UNKNOWN';
  return null;
}
