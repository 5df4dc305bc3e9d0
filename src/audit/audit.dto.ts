import { IsOptional, Matches } from 'class-validator';
import { PageQuery } from '../common/page';

export class AuditQuery extends PageQuery {
  /** Only events of this patient. */
  @IsOptional()
  @Matches(/^[0-9a-f-]{36}$/)
  patientId?: string;
}

export class ActivityQuery {
  /** The day, in UTC. */
  @Matches(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/)
  date!: string;
}

/** One event of the trail: metadata, never a name or clinical content. */
export class AuditEventResponse {
  id!: string;
  /** When, ISO 8601 UTC. */
  at!: string;
  action!: string;
  outcome!: string;
  actorId!: string | null;
  actorRole!: string | null;
  actorHospitalId!: string | null;
  hospitalId!: string | null;
  patientId!: string | null;
  subjectId!: string | null;
  purpose!: string | null;
  /** FHIR resource type or kind of block. */
  kind!: string | null;
  /** Code of a refusal. */
  reason!: string | null;
  /** The rules that decided. */
  rules!: string[];
  contractVersion!: number | null;
  count!: number | null;
  setDigest!: string | null;
  headHeight!: number | null;
  requestId!: string;
}

export class AuditEventPage {
  items!: AuditEventResponse[];
  nextCursor!: string | null;
}

/** How often something was done by one hospital's people. */
export class ActivityCount {
  hospitalId!: string | null;
  action!: string;
  kind!: string | null;
  outcome!: string;
  count!: number;
}

/** What was added and changed on one day: counts, not content. */
export class ActivityResponse {
  date!: string;
  /** Records, patients and accounts that were added. */
  added!: number;
  counts!: ActivityCount[];
}
