import type { KeyStore } from './key-store';
import { CryptoError } from './crypto-error';
import { addTokenKey, tokenFile } from './token-key-file';
import { TokenKeys } from './token-keys';
import { type Term, writePlan } from './token-plan';

/** How a rotation is spread over time, in ms. */
export interface RotationTimes {
  /** From publishing the new key to its first signature: until then every server and every cache of the JWK set must have read it. */
  readonly leadMs: number;
  /** How long the former keys verify after that: the longest life of an access token. */
  readonly overlapMs: number;
}

/**
 * Publishes a new key, which signs from now + lead; all others end one overlap later. Stopped at any point it leaves a folder that works: the plan
 * names the former keys before there is a new file, and the new one after it is there.
 * @returns the new key's term
 * @throws CryptoError as `TokenKeys.refresh` and `KeyFolder.add`
 */
export function rotateTokenKey(store: KeyStore, now: number, { leadMs, overlapMs }: RotationTimes): Term {
  const former = termsOf(store, now);
  writePlan(store.folder, former);
  const kid = addTokenKey(store);
  const fresh: Term = { kid, signsFrom: now + leadMs, verifiesUntil: null };
  const end = fresh.signsFrom + overlapMs;
  writePlan(store.folder, [...former.map((term) => ({ ...term, verifiesUntil: Math.min(term.verifiesUntil ?? end, end) })), fresh]);
  return fresh;
}

/**
 * Removes the keys that have ended. With `kid`, ends that key first, at once: after a theft. Whoever holds one of its tokens signs in again.
 * @returns the kids of what was removed
 * @throws CryptoError `token_key_missing` when nothing could sign afterwards, or there is no such key
 */
export function retireTokenKeys(store: KeyStore, now: number, kid?: string): string[] {
  const { stay, gone } = parted(store, now, kid);
  // The plan first: a file that it does not name signs nothing, and is gone a moment later.
  writePlan(store.folder, stay);
  for (const ended of gone) store.remove(tokenFile(ended));
  return gone;
}

/** What `retireTokenKeys` would remove; changes nothing. @throws CryptoError as it does */
export function endedTokenKeys(store: KeyStore, now: number, kid?: string): string[] {
  return parted(store, now, kid).gone;
}

function parted(store: KeyStore, now: number, kid: string | undefined): { stay: Term[]; gone: string[] } {
  const terms = termsOf(store, now);
  if (kid !== undefined && !terms.some((term) => term.kid === kid)) throw new CryptoError('token_key_missing');
  const hasEnded = (term: Term) => term.kid === kid || (term.verifiesUntil !== null && term.verifiesUntil <= now);
  const stay = terms.filter((term) => !hasEnded(term));
  if (!stay.some(({ signsFrom }) => signsFrom <= now)) throw new CryptoError('token_key_missing');
  return { stay, gone: terms.filter(hasEnded).map((term) => term.kid) };
}

const termsOf = (store: KeyStore, now: number): Term[] =>
  new TokenKeys(store).states(now).map((term) => ({ kid: term.kid, signsFrom: term.signsFrom, verifiesUntil: term.verifiesUntil }));
