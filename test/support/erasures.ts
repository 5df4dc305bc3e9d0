import { readFileSync } from 'node:fs';
import type { Answer } from './api-client';
import { filesOf } from './database-files';
import type { TestApp } from './test-app';
import type { Person, World } from './world';

export interface Erasure {
  id: string;
  patientId: string;
  recordId: string | null;
  state: string;
  requestedBy: string;
  approvedBy: string[];
  refusedBy: string | null;
  decidedAt: string | null;
  purgedAt: string | null;
}

export function ask(person: Person, patientId: string, recordId?: string, reason = 'consent-withdrawn'): Promise<Answer<Erasure>> {
  return person.api.post<Erasure>(`/patients/${patientId}/erasures`, { ...(recordId === undefined ? {} : { recordId }), reason });
}

export function approve(person: Person, id: string): Promise<Answer<Erasure>> {
  return person.api.post<Erasure>(`/erasures/${id}/approval`);
}

/** Hospital A asks, the founder approves; answers with what was executed. */
export async function erase(world: World, patientId: string, recordId?: string): Promise<Erasure> {
  const asked = await ask(world.hospitalA, patientId, recordId);
  const done = await approve(world.founder, asked.body.id);
  if (done.status !== 200 || done.body.state !== 'executed') throw new Error(`erasure: ${asked.text} ${done.text}`);
  return done.body;
}

const SLICE = 24;

/**
 * How many slices of these secrets stand in any file: raw bytes, whatever the database makes of them. PostgreSQL's write-ahead log is left out: it goes
 * when its segments are written anew, which is the operator's matter.
 */
export function slicesOnDisk(app: TestApp, secrets: readonly Buffer[]): number {
  const slices = secrets.flatMap((secret) => {
    const all: Buffer[] = [];
    for (let at = 0; at + SLICE <= secret.length && all.length < 50; at += SLICE) all.push(secret.subarray(at, at + SLICE));
    return secret.length < SLICE ? [secret] : all;
  });
  const contents = filesOf(app, 'without log').map((path) => readFileSync(path));
  return slices.filter((slice) => contents.some((content) => content.includes(slice))).length;
}

/** The same after an erasure. VACUUM gives the room of dead rows free, and leaves their bytes there; the operator's VACUUM FULL writes the tables anew. */
export async function slicesLeft(app: TestApp, secrets: readonly Buffer[]): Promise<number> {
  const { sources, config } = app.foundations;
  const tables = sources.writer.entityMetadatas.map(({ tableName }) => `"${tableName}"`);
  if (config.postgres) await sources.writer.query(`VACUUM FULL ${tables.join()}`);
  return slicesOnDisk(app, secrets);
}
