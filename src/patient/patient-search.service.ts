import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { LOGS, type Logs } from '../common/logger';
import { BlindIndex, MAX_INDEX_BITS } from '../crypto/blind-index';
import { KeyRing, vaultKey } from '../crypto/key-ring.service';
import { Database } from '../database/database';
import { queryRows } from '../database/dialect';
import { insertRow, selectRows } from '../database/rows';
import { EnrolmentsService } from '../hospital/enrolments.service';
import { fitsNameQuery, type NameQuery, nameWords } from './name-words';
import { PatientEntity } from './patient.entity';
import { PatientSearchEntity } from './patient-search.entity';

/** Words of one name that can be searched. */
const MAX_WORDS = 8;
/** Names that are opened at once, and for one page. */
const OPENED_AT_ONCE = 200;
const OPENED_FOR_A_PAGE = 1_000;
/** Patients without entries that get them in one transaction, at the start. */
const FILLED_AT_ONCE = 100;

/** Ids that were found, in their order; `reached` is the last one that was looked at, when there may be more behind it. */
export interface Found {
  readonly ids: string[];
  readonly reached: string | null;
}

/**
 * Finding patients by name, of which the database holds ciphertexts only. Each word of a name is kept as a truncated keyed hash, so short that in a hospital
 * of R patients all words of one name together have at most log2(R / 2) bits: in the mean two patients or more share them, and a frequent name hides among
 * the others that fall on the same value. What is found so is opened, and only what fits is shown.
 */
@Injectable()
export class PatientSearchService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** Patients of a hospital, about: it decides how long new values are, and no more. */
  private readonly sizes = new Map<string, number>();
  private filling: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly enrolments: EnrolmentsService,
    private readonly keyRing: KeyRing,
    private readonly blindIndex: BlindIndex,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  /** In the background: who was enrolled before there was a search, or whose entries somebody deleted. */
  onApplicationBootstrap(): void {
    this.filling = this.fill().catch((error: unknown) => this.logs.app.error({ err: error }, 'the search by name is not complete'));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    await this.filling;
  }

  /** Lets a patient be found by this name, and by no former one. */
  async put(tx: EntityManager, { id: patientId, hospitalId }: Pick<PatientEntity, 'id' | 'hospitalId'>, name: string): Promise<void> {
    await this.remove(tx, patientId);
    const words = nameWords(name).slice(0, MAX_WORDS);
    const bits = indexBits(await this.grown(tx, hospitalId), words.length);
    const tokens = new Map(words.map((word) => this.token(hospitalId, word, bits)).map((token) => [token.toString('hex'), token]));
    for (const token of tokens.values()) await insertRow(tx, PatientSearchEntity, { hospitalId, token, patientId });
  }

  async remove(tx: EntityManager, patientId: string): Promise<void> {
    await tx.getRepository(PatientSearchEntity).delete({ patientId });
  }

  /** Up to `limit` patients of the hospital behind `after` who are meant. */
  async find(hospitalId: string, query: NameQuery, limit: number, after = ''): Promise<Found> {
    const { reader } = this.database;
    const longest = await reader.getRepository(PatientSearchEntity).find({ where: { hospitalId }, order: { token: 'DESC' }, take: 1 });
    const levels = Array.from({ length: (longest[0]?.token.readUInt8(0) ?? -1) + 1 }, (_none, bits) => bits);
    const tokens = query.words.map((word) => levels.map((bits) => this.token(hospitalId, word, bits)));
    const ids: string[] = [];
    for (let opened = 0, last = after; ids.length < limit; opened += OPENED_AT_ONCE, await nextTurn()) {
      if (opened >= OPENED_FOR_A_PAGE) return { ids, reached: last };
      const candidates = await candidatesOf(reader, hospitalId, tokens, last);
      ids.push(...(await this.meant(hospitalId, query, candidates)));
      if (candidates.length < OPENED_AT_ONCE) break;
      last = candidates.at(-1) ?? last;
    }
    return { ids: ids.slice(0, limit), reached: null };
  }

  /** Which of these patients of this hospital are meant, in the same order. */
  private async meant(hospitalId: string, query: NameQuery, candidates: readonly string[]): Promise<string[]> {
    const { reader } = this.database;
    const here = new Set(await this.enrolments.among(reader, hospitalId, candidates));
    const rows = await selectRows(reader, PatientEntity, 'id', [...here]);
    const subject = (id: string) => ({ subjectId: id, tenantId: hospitalId });
    const vaults = await this.keyRing.existingVaults(
      reader,
      rows.map((row) => subject(row.id)),
    );
    const fits = rows.filter((row) => {
      const vault = vaults.get(vaultKey(subject(row.id)));
      const open = (field: 'patient.name' | 'patient.birth_date', value: PatientEntity['name']) => vault?.open(field, row.id, value) ?? '';
      return vault && fitsNameQuery(query, open('patient.name', row.name), open('patient.birth_date', row.birthDate));
    });
    return fits.map((row) => row.id).sort();
  }

  private token(hospitalId: string, word: string, bits: number): Buffer {
    return this.blindIndex.truncated(hospitalId, 'patient.name', word, bits);
  }

  /** Counts once for each process; then one more each time. */
  private async grown(manager: EntityManager, hospitalId: string): Promise<number> {
    const size = (this.sizes.get(hospitalId) ?? (await this.enrolments.count(manager, hospitalId))) + 1;
    this.sizes.set(hospitalId, size);
    return size;
  }

  private async fill(): Promise<void> {
    const { reader } = this.database;
    for (let after = ''; !this.stopped;) {
      const ids = await withoutEntries(reader, after);
      await this.database.transaction(async (tx) => {
        for (const row of await selectRows(tx, PatientEntity, 'id', ids)) {
          const vault = await this.keyRing.vault(tx, { subjectId: row.id, tenantId: row.hospitalId });
          if (!row.name.isNothing) await this.put(tx, row, vault.open('patient.name', row.id, row.name));
        }
      });
      if (ids.length < FILLED_AT_ONCE) return;
      after = ids.at(-1) ?? after;
    }
  }
}

/** Bits of each word's value: all words together have at most log2(patients / 2), and nobody has fewer than two. */
export function indexBits(patients: number, words: number): number {
  const all = Math.log2(Math.max(2, patients) / 2);
  return Math.min(MAX_INDEX_BITS, Math.floor(all / Math.max(2, words)));
}

/** Patients who have one of the tokens of each word, by id. */
async function candidatesOf(
  manager: EntityManager,
  hospitalId: string,
  tokens: readonly (readonly Buffer[])[],
  after: string,
): Promise<string[]> {
  const [first, ...others] = tokens;
  if (!first?.length) return [];
  const builder = manager
    .createQueryBuilder(PatientSearchEntity, 's')
    .select('DISTINCT s.patientId', 'patientId')
    .where('s.hospitalId = :hospitalId AND s.token IN (:...first) AND s.patientId > :after', { hospitalId, first, after });
  for (const [index, values] of others.entries()) {
    const own = builder.subQuery().select('1').from(PatientSearchEntity, `w${index}`);
    own.where(`w${index}.hospitalId = s.hospitalId AND w${index}.patientId = s.patientId AND w${index}.token IN (:...other${index})`);
    builder.andWhere(`EXISTS ${own.getQuery()}`, { [`other${index}`]: values });
  }
  builder.orderBy('s.patientId').limit(OPENED_AT_ONCE);
  return (await builder.getRawMany<{ patientId: string }>()).map((row) => row.patientId);
}

/** Patients who can be looked for and are not in the index. */
async function withoutEntries(manager: EntityManager, after: string): Promise<string[]> {
  const rows = await queryRows<{ patientId: string }>(
    manager,
    `SELECT e."patientId" AS "patientId" FROM "enrolment" e WHERE e."enrolledAt" IS NOT NULL AND e."erasedAt" IS NULL AND e."patientId" > ? AND NOT EXISTS (SELECT 1 FROM "patient_search" s WHERE s."patientId" = e."patientId") ORDER BY e."patientId" LIMIT ${FILLED_AT_ONCE}`,
    [after],
  );
  return rows.map((row) => row.patientId);
}
