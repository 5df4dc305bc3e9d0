/** HL7 v3 ActReason codes for what data are used for. */
export const PURPOSES = ['TREAT', 'ETREAT', 'BTG', 'HOPERAT', 'HRESCH', 'PUBHLTH', 'PATRQT', 'HSYSADMIN'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** What a rule may permit to somebody elsewhere: reading, never writing. */
export const SHARED_ACTIONS = ['patient.read', 'record.list', 'record.read', 'attachment.read', 'chain.read', 'chain.verify'] as const;
export type SharedAction = (typeof SHARED_ACTIONS)[number];

/** One permission of a patient: who may read, from when until when (half-open, ISO 8601 UTC). */
export interface ConsentRule {
  readonly id: string;
  readonly effect: 'permit';
  readonly mode: 'raw';
  readonly who: { readonly hospitals: readonly string[] } | { readonly doctors: readonly string[] };
  readonly purposes: readonly Purpose[];
  readonly actions: readonly SharedAction[];
  readonly validFrom: string;
  readonly validUntil: string;
}

/**
 * A patient's consent contract: closed data, not code; one active version, sealed on the patient's chain (block kind 5). This first form knows
 * `base` own-hospital and permissions to read; deny rules, categories and break-glass come with the full contracts, in the same schema.
 */
export interface ConsentContract {
  readonly schema: 'bjwt.consent/1';
  readonly patientId: string;
  readonly version: number;
  /** Block hash (hex) of the version before; null for the first. */
  readonly previous: string | null;
  readonly base: 'own-hospital';
  readonly rules: readonly ConsentRule[];
}

export const MAX_RULES = 200;

type Json = Record<string, unknown>;

function closed(value: unknown, names: readonly string[]): value is Json {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).sort().join() === [...names].sort().join()
  );
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isInstant = (value: unknown): boolean => isText(value) && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value;
const isList = (value: unknown, allowed?: readonly string[]): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((item) => isText(item) && (!allowed || allowed.includes(item)));

function isRule(value: unknown): value is ConsentRule {
  if (!closed(value, ['id', 'effect', 'mode', 'who', 'purposes', 'actions', 'validFrom', 'validUntil'])) return false;
  const { who } = value;
  const names = (closed(who, ['hospitals']) && isList(who['hospitals'])) || (closed(who, ['doctors']) && isList(who['doctors']));
  const lists = isList(value['purposes'], PURPOSES) && isList(value['actions'], SHARED_ACTIONS);
  return (
    isText(value['id']) &&
    value['effect'] === 'permit' &&
    value['mode'] === 'raw' &&
    names &&
    lists &&
    isInstant(value['validFrom']) &&
    isInstant(value['validUntil'])
  );
}

/** Reads a stored contract strictly. Null when anything is unknown, missing or empty: a broken contract permits nothing. */
export function parseContract(text: string, patientId: string): ConsentContract | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!closed(value, ['schema', 'patientId', 'version', 'previous', 'base', 'rules'])) return null;
  const { rules, version, previous } = value;
  if (value['schema'] !== 'bjwt.consent/1' || value['patientId'] !== patientId || value['base'] !== 'own-hospital') return null;
  if (!Number.isSafeInteger(version) || (version as number) < 1 || !(previous === null || isText(previous))) return null;
  if (!Array.isArray(rules) || rules.length > MAX_RULES || !rules.every(isRule)) return null;
  if (new Set(rules.map((rule) => rule.id)).size !== rules.length) return null;
  return value as unknown as ConsentContract;
}
