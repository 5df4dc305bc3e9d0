import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor, Role } from '../common/actor';
import type { ChartAction } from '../audit/actions';
import { AuditService, type Outcome } from '../audit/audit.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { RevocationsService } from '../auth/revocations.service';
import { Clock } from '../common/clock';
import { ApiError, notFound } from '../common/errors';
import { inSpan } from '../common/tracing';
import type { Subject } from '../crypto/vault';
import { claim } from '../database/beside';
import { Database } from '../database/database';
import type { Work } from '../database/executor';
import { EnrolmentsService } from '../hospital/enrolments.service';
import { ConsentsService } from './consents.service';
import type { Purpose } from './contract';
import { AFTER_ERASURE, decide, type Decision } from './decision';

/** What an act is about. */
export interface Target {
  readonly patientId: string;
  readonly record?: { readonly id: string; readonly authorId: string; readonly sealed: boolean };
}
/** The target, or a way to find it; null when there is no such thing. */
export type TargetSource = Target | ((manager: EntityManager) => Promise<Target | null>);

/** What the work adds to its row on the trail. */
export interface TrailNote {
  kind?: string;
  subjectId?: string;
  ids?: readonly string[];
  count?: number;
  headHeight?: number;
}

/** Work that needs a grant: uses only the manager that it is given. */
export type ChartWork<T> = (manager: EntityManager, grant: Grant) => Promise<T>;

const PURPOSE_OF: Readonly<Record<Role, Purpose>> = {
  ADMIN: 'HSYSADMIN',
  AUDITOR: 'HSYSADMIN',
  HOSPITAL: 'HOPERAT',
  DOCTOR: 'TREAT',
  PATIENT: 'PATRQT',
};

/** Changes of one chart and of nothing that is shared with others but what is asked for alone (`needAlone`): they may run beside those of other charts. */
const BESIDE: ReadonlySet<ChartAction> = new Set([
  'record.create',
  'record.update',
  'record.delete',
  'record.seal',
  'record.attest',
  'record.correct',
]);

let issue: (actor: Actor, target: Target, hospitalId: string) => Grant;

/**
 * The permission to do one act with one patient's chart. Whatever touches a chart asks for one, and only the decision below can make one: the
 * constructor is private, so forgetting the check does not compile.
 */
export class Grant {
  readonly #note: TrailNote = {};

  private constructor(
    readonly actor: Actor,
    readonly patientId: string,
    /** The hospital that keeps the chart: the tenant of its keys and the owner of its ledger. */
    readonly hospitalId: string,
  ) {}

  static {
    issue = (actor, target, hospitalId) => new Grant(actor, target.patientId, hospitalId);
  }

  /** Whose key opens and seals this chart's values. */
  get subject(): Subject {
    return { subjectId: this.patientId, tenantId: this.hospitalId };
  }

  /** Adds to the row on the trail. */
  note(note: TrailNote): void {
    Object.assign(this.#note, note);
  }

  get noted(): TrailNote {
    return this.#note;
  }
}

interface Decided {
  readonly decision: Decision;
  readonly target: Target | null;
  readonly hospitalId: string | null;
  /** The chart was erased, and the act needs one. */
  readonly erased: boolean;
  readonly purpose: Purpose;
  readonly contractVersion: number | null;
}

/** Asks the decision function, hands out grants, and puts every decision on the trail: permitted, refused and failed. */
@Injectable()
export class AccessService {
  constructor(
    private readonly database: Database,
    private readonly enrolments: EnrolmentsService,
    private readonly consents: ConsentsService,
    private readonly audit: AuditService,
    private readonly idempotency: IdempotencyService,
    private readonly revocations: RevocationsService,
    private readonly clock: Clock,
  ) {}

  /** Reads from a chart. The row on the trail is durable before the data leave; refused and missing look the same. */
  async read<T>(
    actor: Actor,
    action: ChartAction,
    source: TargetSource,
    work: (manager: EntityManager, grant: Grant) => Promise<T>,
  ): Promise<T> {
    const { reader } = this.database;
    const decided = await this.decide(reader, actor, action, source);
    const grant = this.grant(actor, decided);
    if (!grant) return this.refuse(actor, action, decided);
    try {
      assertThere(decided);
      const value = await work(reader, grant);
      await this.database.append((tx) => this.append(tx, actor, action, decided, 'ok', grant.noted));
      return value;
    } catch (error) {
      await this.fail(actor, action, decided, error);
      throw error;
    }
  }

  /** Changes a chart: the decision, the work and the row on the trail are one transaction. */
  change<T>(actor: Actor, action: ChartAction, source: TargetSource, work: ChartWork<T>): Promise<T> {
    return this.act(actor, action, source, (tx, grant, decided) =>
      this.idempotency.once(tx, actor, () => this.perform(tx, actor, action, decided, grant, work)),
    );
  }

  /** Prepares an act that `change` completes later and puts on the trail; here only a refusal is. */
  prepare<T>(actor: Actor, action: ChartAction, source: TargetSource, work: ChartWork<T>): Promise<T> {
    return this.act(actor, action, source, work);
  }

  private async act<T>(
    actor: Actor,
    action: ChartAction,
    source: TargetSource,
    work: (tx: EntityManager, grant: Grant, decided: Decided) => Promise<T>,
  ): Promise<T> {
    let decided: Decided | undefined;
    let outcome: { value: T } | null;
    const unit = (run: Work<{ value: T } | null>) => (BESIDE.has(action) ? this.database.beside(run) : this.database.transaction(run));
    try {
      outcome = await unit(async (tx) => {
        this.revocations.assertStillValid(actor);
        const made = (decided = await this.decide(tx, actor, action, source));
        const grant = this.grant(actor, made);
        if (grant) assertThere(made);
        return grant && { value: await work(tx, grant, made) };
      });
    } catch (error) {
      if (decided) await this.fail(actor, action, decided, error);
      throw error;
    }
    return outcome ? outcome.value : this.refuse(actor, action, decided);
  }

  /** The same inside a transaction that is open already. A refusal throws, and so rolls everything back. */
  async within<T>(
    tx: EntityManager,
    actor: Actor,
    action: ChartAction,
    target: Target,
    work: (tx: EntityManager, grant: Grant) => Promise<T>,
  ): Promise<T> {
    const decided = await this.decide(tx, actor, action, target);
    const grant = this.grant(actor, decided);
    if (!grant) throw notFound();
    assertThere(decided);
    return this.perform(tx, actor, action, decided, grant, work);
  }

  /** Which of these patients' charts the actor may use so; for lists, which have one row on the trail for all. */
  async permitted(manager: EntityManager, actor: Actor, action: ChartAction, patientIds: readonly string[]): Promise<string[]> {
    const decided = await Promise.all(patientIds.map((patientId) => this.decide(manager, actor, action, { patientId })));
    return patientIds.filter((_id, index) => decided[index]?.decision.permitted === true);
  }

  private async perform<T>(
    tx: EntityManager,
    actor: Actor,
    action: ChartAction,
    decided: Decided,
    grant: Grant,
    work: (tx: EntityManager, grant: Grant) => Promise<T>,
  ): Promise<T> {
    const value = await work(tx, grant);
    await this.append(tx, actor, action, decided, 'ok', grant.noted);
    return value;
  }

  private decide(manager: EntityManager, actor: Actor, action: ChartAction, source: TargetSource): Promise<Decided> {
    return inSpan('access.decide', async (span) => {
      const decided = await this.decideNow(manager, actor, action, source);
      span?.set({ 'ehr.action': action, 'ehr.permitted': decided.decision.permitted });
      return decided;
    });
  }

  private async decideNow(manager: EntityManager, actor: Actor, action: ChartAction, source: TargetSource): Promise<Decided> {
    const target = await found(manager, source);
    const purpose = PURPOSE_OF[actor.role];
    if (!target)
      return {
        decision: { permitted: false, rules: [{ id: 'no-target', sentence: 'There is no such thing' }] },
        target,
        hospitalId: null,
        erased: false,
        purpose,
        contractVersion: null,
      };
    const chart = await this.enrolments.chartOf(manager, target.patientId);
    const hospitalId = chart?.hospitalId ?? null;
    const erased = chart?.erased === true && !AFTER_ERASURE.includes(action);
    const elsewhere = hospitalId !== null && actor.hospitalId !== hospitalId && actor.role !== 'ADMIN' && actor.role !== 'AUDITOR';
    const consent = elsewhere ? await this.consents.active(manager, target.patientId) : null;
    const decision = decide({
      actor,
      action,
      purpose,
      patient: { id: target.patientId, hospitalId },
      ...(target.record ? { record: target.record } : {}),
      contract: consent?.contract ?? null,
      now: this.clock.now(),
    });
    return { decision, target, hospitalId, erased, purpose, contractVersion: consent?.version ?? null };
  }

  private grant(actor: Actor, { decision, target, hospitalId }: Decided): Grant | null {
    return decision.permitted && target && hospitalId !== null ? issue(actor, target, hospitalId) : null;
  }

  /** A refusal is on the trail before the caller learns of it. */
  private async refuse(actor: Actor, action: ChartAction, decided: Decided | undefined): Promise<never> {
    if (decided) await this.database.append((tx) => this.append(tx, actor, action, decided, 'denied', {}));
    throw notFound();
  }

  private async fail(actor: Actor, action: ChartAction, decided: Decided, error: unknown): Promise<void> {
    const reason = error instanceof ApiError ? error.code : 'internal_error';
    await this.database.append((tx) => this.append(tx, actor, action, decided, 'failed', {}, reason));
  }

  private append(
    tx: EntityManager,
    actor: Actor,
    action: ChartAction,
    decided: Decided,
    outcome: Outcome,
    note: TrailNote,
    reason: string | null = null,
  ): Promise<void> {
    const { target, hospitalId, purpose, contractVersion, decision } = decided;
    const subjectId = target?.record?.id ?? null;
    const rules = decision.rules.map((rule) => rule.id);
    return this.audit.append(tx, {
      action,
      outcome,
      actor,
      requestId: actor.requestId,
      hospitalId,
      patientId: target?.patientId ?? null,
      subjectId,
      purpose,
      rules,
      contractVersion,
      reason,
      ...note,
    });
  }
}

/** What the act is about; where others change charts at this moment, as it is when nobody else can change this one any more. */
async function found(manager: EntityManager, source: TargetSource): Promise<Target | null> {
  const target = typeof source === 'function' ? await source(manager) : source;
  const isClaimed = target !== null && (await claim(manager, `chart ${target.patientId}`));
  return isClaimed && typeof source === 'function' ? source(manager) : target;
}

/** Who may see the chart is told that it was erased; to everybody else it looks as if it had never been. */
function assertThere({ erased }: Decided): void {
  if (erased) throw new ApiError('erased');
}
