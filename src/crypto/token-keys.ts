import type { KeyObject } from 'node:crypto';
import { CryptoError } from './crypto-error';
import { type KeyStore, TOKEN_FILE } from './key-store';
import { readTokenKey, type StoredTokenKey, tokenFile, type TokenKey } from './token-key-file';
import { readPlan, type Term } from './token-plan';

/** What a key does: `published` verifies and does not sign yet, `retired` verifies and signs no more, of an `ended` one nothing is accepted. */
export type TokenKeyState = 'published' | 'signing' | 'retired' | 'ended';

type PlannedKey = StoredTokenKey & Term;
/** When a key begins to sign that the plan does not name. */
const NEVER = Number.MAX_SAFE_INTEGER;

/**
 * The keys that sign and verify access tokens, as the key folder has them now. Every server on the folder reads it each second (`refresh`), so that a
 * rotation needs no restart, and no server meets a token whose key it does not know: a new key is published first and signs later.
 *
 * Without a plan (no rotation yet) the newest file signs and all verify. With one, a file that it does not name only verifies: a rotation writes the
 * file before the plan, and no server may sign with it before all know it. Instants are in ms since 1970.
 */
export class TokenKeys {
  #keys: readonly PlannedKey[] = [];

  /** @throws CryptoError as `refresh`; `token_key_missing` when none may sign */
  constructor(private readonly store: KeyStore) {
    this.refresh();
    this.signing(Date.now());
  }

  /**
   * Reads plan and files again; the file of a key that is known is not. When it throws, what was known before stays.
   * @throws CryptoError `key_file_missing` (no key at all), `key_file_malformed`, `key_file_permissions`, `key_file_unreadable`, `key_file_rejected`
   */
  refresh(): void {
    const names = this.store.names().filter((name) => TOKEN_FILE.test(name));
    if (names.length === 0) throw new CryptoError('key_file_missing', tokenFile('<kid>'));
    const plan = readPlan(this.store.folder);
    const known = new Map(this.#keys.map((key) => [tokenFile(key.kid), key]));
    this.#keys = names.map((name) => {
      const key = known.get(name) ?? readTokenKey(this.store, name);
      const unplanned: Term = { kid: key.kid, signsFrom: plan ? NEVER : Math.floor(key.changedMs), verifiesUntil: null };
      return { ...key, ...(plan?.find(({ kid }) => kid === key.kid) ?? unplanned) };
    });
  }

  /**
   * The key that signs: of those that have begun the latest. None has when the clock stands before all of them; then it is the first.
   * @throws CryptoError `token_key_missing`
   */
  signing(now: number): TokenKey {
    const able = this.#alive(now).filter(({ signsFrom }) => signsFrom !== NEVER);
    const begun = able.filter(({ signsFrom }) => signsFrom <= now).sort((a, b) => b.signsFrom - a.signsFrom || (a.kid < b.kid ? -1 : 1));
    const key = begun[0] ?? able.sort((a, b) => a.signsFrom - b.signsFrom)[0];
    if (!key) throw new CryptoError('token_key_missing');
    return key;
  }

  /** The public key of this id, unless it is unknown or has ended. */
  verifying(kid: string, now: number): KeyObject | undefined {
    return this.#alive(now).find((key) => key.kid === kid)?.publicKey;
  }

  /** The keys whose tokens are accepted now or will be: for others who verify. */
  published(now: number): readonly TokenKey[] {
    return this.#alive(now);
  }

  /** Every key of the folder with its term, the latest first. */
  states(now: number): (Term & { state: TokenKeyState })[] {
    const alive = this.#alive(now);
    const signing = this.signing(now).kid;
    const stateOf = (key: PlannedKey): TokenKeyState => {
      if (!alive.includes(key)) return 'ended';
      if (key.kid === signing) return 'signing';
      return key.signsFrom > now ? 'published' : 'retired';
    };
    return [...this.#keys]
      .sort((a, b) => b.signsFrom - a.signsFrom)
      .map((key) => ({ kid: key.kid, signsFrom: key.signsFrom, verifiesUntil: key.verifiesUntil, state: stateOf(key) }));
  }

  #alive(now: number): PlannedKey[] {
    return this.#keys.filter(({ verifiesUntil }) => verifiesUntil === null || verifiesUntil > now);
  }
}
