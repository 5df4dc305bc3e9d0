import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService, type Grant } from '../access/access.service';
import { type ActiveConsent, ConsentsService } from '../access/consents.service';
import { type ConsentContract, type ConsentRule, MAX_RULES, SHARED_ACTIONS } from '../access/contract';
import { AccountsService } from '../auth/accounts.service';
import type { Actor } from '../common/actor';
import { Clock, isoTime } from '../common/clock';
import { ApiError, invalid, notFound } from '../common/errors';
import { newId } from '../common/ids';
import { HospitalsService } from '../hospital/hospitals.service';
import { LedgerService } from '../ledger/ledger.service';
import type { ConsentGrantDto, ConsentResponse } from './patient.dto';

const MAX_PERIOD_MS = 2 * 366 * 86_400_000;

/** The patient's consent (R31, R32): each change makes a new version of the contract, sealed on the patient's chain before it takes effect. */
@Injectable()
export class ConsentService {
  constructor(
    private readonly access: AccessService,
    private readonly consents: ConsentsService,
    private readonly accounts: AccountsService,
    private readonly hospitals: HospitalsService,
    private readonly ledger: LedgerService,
    private readonly clock: Clock,
  ) {}

  read(actor: Actor): Promise<ConsentResponse> {
    return this.access.read(actor, 'consent.read', { patientId: actor.id }, async (manager) =>
      this.toResponse(manager, await this.consents.active(manager, actor.id)),
    );
  }

  /** Lets a hospital or a doctor elsewhere read the chart until an instant. */
  permit(actor: Actor, dto: ConsentGrantDto): Promise<ConsentResponse> {
    return this.access.change(actor, 'consent.change', { patientId: actor.id }, async (tx, grant) => {
      const rule = await this.toRule(tx, dto);
      return this.next(tx, grant, (rules) => {
        if (rules.length >= MAX_RULES) throw new ApiError('conflict', `A contract has at most ${MAX_RULES} rules`);
        return [...rules, rule];
      });
    });
  }

  /** Withdraws a permission; it ends with the answer. */
  withdraw(actor: Actor, ruleId: string): Promise<ConsentResponse> {
    return this.access.change(actor, 'consent.change', { patientId: actor.id }, (tx, grant) =>
      this.next(tx, grant, (rules) => {
        if (!rules.some((rule) => rule.id === ruleId)) throw notFound();
        return rules.filter((rule) => rule.id !== ruleId);
      }),
    );
  }

  /** Seals the next version and makes it the active one. Rules whose time is over are not carried on. */
  private async next(
    tx: EntityManager,
    grant: Grant,
    change: (rules: readonly ConsentRule[]) => readonly ConsentRule[],
  ): Promise<ConsentResponse> {
    const active = await this.consents.active(tx, grant.patientId);
    if (active?.contract === 'broken') throw new ApiError('integrity_error', 'The consent contract cannot be read');
    const now = this.clock.now();
    const rules = change((active?.contract.rules ?? []).filter((rule) => Date.parse(rule.validUntil) > now));
    const contract: ConsentContract = {
      schema: 'bjwt.consent/1',
      patientId: grant.patientId,
      version: (active?.version ?? 0) + 1,
      previous: active?.blockHash ?? null,
      base: 'own-hospital',
      rules,
    };
    const text = JSON.stringify(contract);
    const block = await this.ledger.seal(tx, grant, {
      kind: 'consent',
      recordId: newId(now),
      version: contract.version,
      payload: Buffer.from(text, 'utf8'),
    });
    await this.consents.activate(tx, { id: grant.patientId, hospitalId: grant.hospitalId }, contract, text, block);
    grant.note({ kind: 'Consent', subjectId: block.recordId });
    return this.toResponse(tx, { contract, version: contract.version, blockHash: block.blockHash });
  }

  private async toRule(tx: EntityManager, dto: ConsentGrantDto): Promise<ConsentRule> {
    const now = this.clock.now();
    const until = Date.parse(dto.validUntil);
    if (Number.isNaN(until) || until <= now || until > now + MAX_PERIOD_MS)
      throw invalid('validUntil', 'must be an instant in the next two years');
    const { hospitalId, doctorId } = dto;
    if ((hospitalId === undefined) === (doctorId === undefined)) throw invalid('hospitalId', 'give either hospitalId or doctorId');
    if (hospitalId !== undefined && !(await this.hospitals.exists(tx, hospitalId))) throw invalid('hospitalId', 'must name a hospital');
    if (doctorId !== undefined && (await this.accounts.people(tx, [doctorId])).get(doctorId)?.role !== 'DOCTOR')
      throw invalid('doctorId', 'must name a doctor');
    return {
      id: newId(now),
      effect: 'permit',
      mode: 'raw',
      who: hospitalId !== undefined ? { hospitals: [hospitalId] } : { doctors: [doctorId ?? ''] },
      purposes: ['TREAT', 'HOPERAT'],
      actions: SHARED_ACTIONS,
      validFrom: isoTime(now),
      validUntil: isoTime(until),
    };
  }

  private async toResponse(manager: EntityManager, active: ActiveConsent | null): Promise<ConsentResponse> {
    if (!active) return { version: 0, base: 'own-hospital', rules: [], blockHash: null };
    if (active.contract === 'broken') throw new ApiError('integrity_error', 'The consent contract cannot be read');
    const { rules, base, version } = active.contract;
    const hospitalIds = rules.flatMap((rule) => ('hospitals' in rule.who ? rule.who.hospitals : []));
    const doctorIds = rules.flatMap((rule) => ('doctors' in rule.who ? rule.who.doctors : []));
    const [hospitalNames, doctors] = [await this.hospitals.names(manager, hospitalIds), await this.accounts.people(manager, doctorIds)];
    const items = rules.map((rule) => {
      const hospitalId = 'hospitals' in rule.who ? (rule.who.hospitals[0] ?? null) : null;
      const doctorId = 'doctors' in rule.who ? (rule.who.doctors[0] ?? null) : null;
      const name = hospitalNames.get(hospitalId ?? '') ?? doctors.get(doctorId ?? '')?.name ?? '';
      return {
        id: rule.id,
        hospitalId,
        doctorId,
        name,
        validFrom: rule.validFrom,
        validUntil: rule.validUntil,
        actions: [...rule.actions],
      };
    });
    return { version, base, rules: items, blockHash: active.blockHash };
  }
}
