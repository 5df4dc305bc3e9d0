import type { EntityManager } from 'typeorm';
import { selectRows } from '../database/rows';
import { type LogPlace, placesOf } from '../tlog/places';
import type { CarriedKey } from './core/bundle';
import { FormatError, b64u } from './core/bytes';
import { type KeyEvent, type KeyRegistration, type KeyRevocation, keyEventHash, parseKeyEvent } from './core/key-event';
import { AuthorKeyEntity, KeyEventEntity } from './ledger.entity';

/** An event that is in the hospital's log, or waits for its place in it. */
export interface Logged<T extends KeyEvent> {
  readonly event: T;
  /** What is hashed into the log. */
  readonly body: string;
  readonly place: LogPlace;
}

/** An author's key as a hospital's log has it. */
export interface LoggedKey {
  readonly registered: Logged<KeyRegistration>;
  readonly revoked: Logged<KeyRevocation> | null;
  /** The row that the server works with; null when it is gone or holds another public key. */
  readonly row: AuthorKeyEntity | null;
  /** The first column of that row that says something else than the log, with its table; undefined when it fits. */
  readonly misfit: string | undefined;
}

/**
 * Keys by thumbprint, as far as the log of this hospital has registered them. Nothing in the tables is believed: an event counts when its body is
 * well-formed, speaks of this key and this ledger, and its hash is in the log.
 */
export async function loggedKeys(
  manager: EntityManager,
  hospitalId: string,
  origin: string,
  kids: readonly string[],
): Promise<Map<string, LoggedKey>> {
  const stored = (await selectRows(manager, KeyEventEntity, 'kid', kids)).filter((row) => row.hospitalId === hospitalId);
  const parsed = stored.flatMap((row) => wellFormed(row, origin));
  const hashes = parsed.map(({ body }) => keyEventHash(body));
  const places = await placesOf(manager, hospitalId, 'key-event', hashes);
  const rows = new Map((await selectRows(manager, AuthorKeyEntity, 'kid', kids)).map((row) => [row.kid, row]));
  const keys = new Map<string, LoggedKey>();
  const revoked = new Map<string, Logged<KeyRevocation>>();
  // A log has one event of each kind for a key. Should somebody have slipped a second one in, the first counts: nothing is moved by a later word.
  const inOrder = parsed
    .flatMap(({ event, body }) => {
      const place = places.get(keyEventHash(body).toString('hex'));
      return place ? [{ event, body, place }] : [];
    })
    .sort((a, b) => a.place.order - b.place.order);
  for (const { event, body, place } of inOrder)
    if (event.event === 'revoke' && !revoked.has(event.kid)) revoked.set(event.kid, { event, body, place });
  for (const { event, body, place } of inOrder) {
    if (event.event !== 'register' || keys.has(event.kid)) continue;
    const row = rows.get(event.kid);
    const known = row?.x === event.x ? row : null;
    keys.set(event.kid, {
      registered: { event, body, place },
      revoked: revoked.get(event.kid) ?? null,
      row: known,
      misfit: known ? misfitOf(known, event) : undefined,
    });
  }
  return keys;
}

/** The same keys as a bundle or an exported chain carries them: what the log says, not the server's own row. */
export async function carriedKeys(
  manager: EntityManager,
  hospitalId: string,
  origin: string,
  kids: readonly string[],
): Promise<CarriedKey[]> {
  const known = await loggedKeys(manager, hospitalId, origin, kids);
  return [...known.values()].map(({ registered: { event } }) => ({ kid: event.kid, x: event.x, custody: event.custody }));
}

/** The thumbprint in a header of 274 bytes, base64url; undefined in an unsigned block and in bytes of another size. */
export function authorKidOf(header: Buffer): string | undefined {
  const kid = header.subarray(210, 242);
  return Buffer.isBuffer(header) && kid.length === 32 && kid.some((byte) => byte !== 0) ? b64u(kid) : undefined;
}

/** The event of a row, if its body is well-formed, of this ledger, and what the columns beside it say; else nothing: such a row is found by no look-up. */
export function wellFormed(row: KeyEventEntity, origin: string): { event: KeyEvent; body: string }[] {
  try {
    const event = parseKeyEvent(row.body);
    return event.kid === row.kid && event.event === row.event && event.iss === origin ? [{ event, body: row.body }] : [];
  } catch (error) {
    if (error instanceof FormatError || error instanceof TypeError) return []; // a cell may hold something else than a text
    throw error;
  }
}

function misfitOf(row: AuthorKeyEntity, event: KeyRegistration): string | undefined {
  if (row.accountId !== event.account) return 'author_key.accountId';
  return row.custody === event.custody ? undefined : 'author_key.custody';
}
