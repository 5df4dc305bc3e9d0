import { CryptoError } from './crypto-error';
import type { KeyFolder } from './key-folder';

/** From when to when a token key does what; instants in ms since 1970. */
export interface Term {
  readonly kid: string;
  /** Before it the key is published and verifies, but does not sign. */
  readonly signsFrom: number;
  /** From then on its tokens are refused; null until there is a successor. */
  readonly verifiesUntil: number | null;
}

const PLAN_FILE = 'token-keys.json';

/** The terms of all token keys; undefined before the first rotation. @throws CryptoError `key_file_malformed`; and as `KeyFolder.read` */
export function readPlan(folder: KeyFolder): Term[] | undefined {
  if (folder.list((name) => name === PLAN_FILE).length === 0) return undefined;
  try {
    const plan: unknown = JSON.parse(folder.read(PLAN_FILE).text);
    if (Array.isArray(plan) && plan.every(isTerm)) return plan;
  } catch (error) {
    if (error instanceof CryptoError) throw error;
  }
  throw new CryptoError('key_file_malformed', PLAN_FILE);
}

export function writePlan(folder: KeyFolder, plan: readonly Term[]): void {
  folder.replace(PLAN_FILE, `${JSON.stringify(plan, null, 2)}\n`);
}

function isTerm(value: unknown): value is Term {
  if (typeof value !== 'object' || value === null) return false;
  const { kid, signsFrom, verifiesUntil } = value as Partial<Record<keyof Term, unknown>>;
  return typeof kid === 'string' && Number.isSafeInteger(signsFrom) && (verifiesUntil === null || Number.isSafeInteger(verifiesUntil));
}
