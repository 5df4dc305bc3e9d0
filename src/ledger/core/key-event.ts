import { FormatError, HASH_BYTES, b64u, b64uDecode, isUuid, sha256 } from './bytes';
import { isOrigin } from './header';
import { thumbprint } from './jwk';

/** Who keeps the private half of an author's key: this server, or the author's own client. */
export const CUSTODIES = ['server', 'client'] as const;
export type Custody = (typeof CUSTODIES)[number];

/** Why a key ends: another takes its place, it was lost, somebody else may have it, its holder left. */
export const REVOCATION_REASONS = ['retired', 'lost', 'compromised', 'departed'] as const;
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

interface AboutKey {
  /** Origin of the ledger in whose log the event stands. */
  readonly iss: string;
  /** RFC 7638 thumbprint, base64url. */
  readonly kid: string;
  /** The account that signs with the key, UUID. */
  readonly account: string;
  /** By the server's clock, ms since the epoch (UTC). What counts is the event's place in the log, not this. */
  readonly at: number;
}

/** From this place of the log on the key attests blocks of this ledger in the name of the account. */
export interface KeyRegistration extends AboutKey {
  readonly event: 'register';
  /** The public key: `x` of the JWK, base64url. */
  readonly x: string;
  readonly custody: Custody;
}

/** From this place of the log on nothing that the key signs counts any more. Final: a key never comes back. */
export interface KeyRevocation extends AboutKey {
  readonly event: 'revoke';
  readonly reason: RevocationReason;
}

/** What the log says about an author's key; its entry (kind `key-event`) has the SHA-256 of {@link keyEventBody}. */
export type KeyEvent = KeyRegistration | KeyRevocation;

const SCHEMA = 'bjwt.key-event/1';
const MAX_BODY = 1024;

/** The body of an event: JSON in the one accepted form. @throws FormatError on an event that {@link parseKeyEvent} would refuse */
export function keyEventBody(event: KeyEvent): string {
  return serialise(checkEvent({ schema: SCHEMA, ...event }));
}

/** SHA-256 of a body: what the log's entry says. 32 bytes. */
export function keyEventHash(body: string): Buffer {
  return sha256(body);
}

/**
 * Reads a body, strictly: what is accepted prints back to the same text, so no two texts say the same. `kid` is the thumbprint of `x`. That the key is
 * a safe one is for {@link authorKey}.
 * @throws FormatError `keyEvent` or `keyEvent.<member>`
 */
export function parseKeyEvent(body: string): KeyEvent {
  if (body.length > MAX_BODY) throw new FormatError('keyEvent', `has more than ${MAX_BODY} characters`);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new FormatError('keyEvent', 'is not JSON');
  }
  const event = checkEvent(value);
  if (serialise(event) !== body) throw new FormatError('keyEvent', 'is not in the one accepted form');
  return event;
}

function serialise(event: KeyEvent): string {
  const { iss, kid, account, at } = event;
  const schema = SCHEMA;
  if (event.event === 'revoke') return JSON.stringify({ schema, event: event.event, iss, kid, reason: event.reason, account, at });
  return JSON.stringify({ schema, event: event.event, iss, kid, x: event.x, custody: event.custody, account, at });
}

function checkEvent(value: unknown): KeyEvent {
  if (!isRecord(value)) throw new FormatError('keyEvent', 'is not an object');
  const { schema, event, iss, kid, account, at } = value;
  if (schema !== SCHEMA) throw new FormatError('keyEvent.schema', `is not ${SCHEMA}`);
  if (!isOrigin(iss)) throw new FormatError('keyEvent.iss', 'is not an origin');
  if (!isUuid(account)) throw new FormatError('keyEvent.account', 'is not a lower-case UUID');
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0 || Object.is(at, -0))
    throw new FormatError('keyEvent.at', 'is not a time in whole milliseconds');
  const about: AboutKey = { iss, kid: encoded(kid, 'keyEvent.kid'), account, at };
  if (event === 'register') return registration(about, value);
  if (event === 'revoke') return { event, ...about, reason: oneOf(REVOCATION_REASONS, value['reason'], 'keyEvent.reason') };
  throw new FormatError('keyEvent.event', 'is unknown');
}

function registration(about: AboutKey, value: Record<string, unknown>): KeyRegistration {
  const x = encoded(value['x'], 'keyEvent.x');
  if (b64u(thumbprint({ kty: 'OKP', crv: 'Ed25519', x })) !== about.kid) throw new FormatError('keyEvent.kid', 'is not that of x');
  return { event: 'register', ...about, x, custody: oneOf(CUSTODIES, value['custody'], 'keyEvent.custody') };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function oneOf<T extends string>(allowed: readonly T[], value: unknown, field: string): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new FormatError(field, 'is unknown');
  return found;
}

function encoded(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new FormatError(field, 'is not a text');
  b64uDecode(value, field, HASH_BYTES);
  return value;
}
