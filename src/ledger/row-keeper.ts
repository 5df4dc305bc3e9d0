import type { EntityManager } from 'typeorm';
import type { KeyRing } from '../crypto/key-ring.service';
import type { BlockKind } from './core/header';
import type { Finding } from './core/verdict';

/** What a block says about the row that another module keeps for it. */
export interface SealedFact {
  readonly recordId: string;
  readonly height: number;
  readonly version: number;
  /** Lower-case hex. */
  readonly blockHash: string;
  /** Milliseconds since the epoch. */
  readonly sealedAt: number;
  /** An ERASE block speaks of it. */
  readonly erased: boolean;
}

/** The chain whose rows are compared. */
export interface KeptChain {
  readonly hospitalId: string;
  /** Null for a verification without keys. */
  readonly keyRing: KeyRing | null;
}

/**
 * A module that keeps rows about what is sealed (lists and decisions read them). The chain cannot show that such a row was hidden or altered; a
 * verification therefore compares the rows with the blocks.
 */
export interface RowKeeper {
  /** Kinds of blocks for which it keeps one row each. */
  readonly kinds: readonly BlockKind[];
  /** Rows that are missing or say something else than their block. */
  findings(manager: EntityManager, patientId: string, facts: readonly SealedFact[], chain: KeptChain): Promise<Finding[]>;
  /** How many rows it keeps for a patient's sealed blocks. */
  count(manager: EntityManager, patientId: string): Promise<number>;
  /** All patients for whom it keeps such rows. */
  patients(manager: EntityManager): Promise<string[]>;
}

/** The first name whose value does not fit, or undefined. */
export function firstMisfit(fits: Readonly<Record<string, boolean>>): string | undefined {
  return Object.entries(fits).find(([, fit]) => !fit)?.[0];
}

/** What one row shows about its block: nothing when it fits; else the column at fault, or the table when there is no row (`fits` undefined). */
export function rowFindings(fact: SealedFact, table: string, fits: Readonly<Record<string, boolean>> | undefined): Finding[] {
  const wrong = fits && firstMisfit(fits);
  if (fits && wrong === undefined) return [];
  return [
    { code: 'CONTENT_MISMATCH', height: fact.height, field: wrong === undefined ? table : `${table}.${wrong}`, recordId: fact.recordId },
  ];
}
