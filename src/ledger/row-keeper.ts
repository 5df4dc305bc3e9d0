import type { EntityManager } from 'typeorm';
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
}

/**
 * A module that keeps rows about what is sealed (lists and decisions read them). The chain cannot show that such a row was hidden or altered; a
 * verification therefore compares the rows with the blocks.
 */
export interface RowKeeper {
  /** Kinds of blocks for which it keeps one row each. */
  readonly kinds: readonly BlockKind[];
  /** Rows that are missing or say something else than their block. */
  findings(manager: EntityManager, patientId: string, facts: readonly SealedFact[]): Promise<Finding[]>;
  /** How many rows it keeps for a patient's sealed blocks. */
  count(manager: EntityManager, patientId: string): Promise<number>;
  /** All patients for whom it keeps such rows. */
  patients(manager: EntityManager): Promise<string[]>;
}

/** A keeper's finding about one row: `field` names the column, or the table when the row is missing. */
export function rowFinding(fact: SealedFact, field: string): Finding {
  return { code: 'CONTENT_MISMATCH', height: fact.height, field, recordId: fact.recordId };
}
