import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { CryptoError } from '../crypto/crypto-error';
import { KeyRing } from '../crypto/key-ring.service';
import { ConsentEntity, ConsentRuleEntity } from './consent.entity';
import { type ConsentContract, type ConsentRule, parseContract } from './contract';

export interface ActiveConsent {
  readonly contract: ConsentContract | 'broken';
  readonly version: number;
  /** Block hash (hex) of this version. */
  readonly blockHash: string;
}

/** Stores consent contracts and finds the active one. */
@Injectable()
export class ConsentsService {
  constructor(
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  /** The active contract of a patient, or null when there was never one. */
  async active(manager: EntityManager, patientId: string): Promise<ActiveConsent | null> {
    const row = await manager.getRepository(ConsentEntity).findOne({ where: { patientId }, order: { version: 'DESC' } });
    return row && { contract: await this.open(manager, row), version: row.version, blockHash: row.blockHash };
  }

  /** Makes a sealed version the active one and replaces the index of its rules. */
  async activate(
    tx: EntityManager,
    patient: { id: string; hospitalId: string },
    contract: ConsentContract,
    text: string,
    block: { recordId: string; height: number; blockHash: string },
  ): Promise<void> {
    const vault = await this.keyRing.vault(tx, { subjectId: patient.id, tenantId: patient.hospitalId });
    await tx.getRepository(ConsentEntity).insert({
      id: block.recordId,
      patientId: patient.id,
      hospitalId: patient.hospitalId,
      version: contract.version,
      contract: vault.seal('consent.contract', block.recordId, text),
      height: block.height,
      blockHash: block.blockHash,
      createdAt: this.clock.now(),
    });
    await tx.getRepository(ConsentRuleEntity).delete({ patientId: patient.id });
    for (const rule of contract.rules) await tx.getRepository(ConsentRuleEntity).insert(ruleRow(rule, patient.id));
  }

  /** Erasure: nobody elsewhere is let in any more. The versions stay; their texts open with the patient's key only. */
  async forget(tx: EntityManager, patientId: string): Promise<void> {
    await tx.getRepository(ConsentRuleEntity).delete({ patientId });
  }

  /** Ids of patients elsewhere who let this actor read now. */
  async sharedWith(manager: EntityManager, actor: Actor): Promise<string[]> {
    const now = this.clock.now();
    const grantees = [actor.id, ...(actor.hospitalId === null ? [] : [actor.hospitalId])];
    const rows = await manager
      .createQueryBuilder(ConsentRuleEntity, 'r')
      .where('r.grantee IN (:...grantees) AND r.validFrom <= :now AND r.validUntil > :now', { grantees, now })
      .orderBy('r.patientId')
      .limit(1000)
      .getMany();
    return [...new Set(rows.map((row) => row.patientId))];
  }

  private async open(manager: EntityManager, row: ConsentEntity): Promise<ConsentContract | 'broken'> {
    try {
      const vault = await this.keyRing.vault(manager, { subjectId: row.patientId, tenantId: row.hospitalId });
      const contract = parseContract(vault.open('consent.contract', row.id, row.contract), row.patientId);
      return contract?.version === row.version ? contract : 'broken'; // an older version under a newer number
    } catch (error) {
      if (error instanceof CryptoError) return 'broken'; // altered or moved in the database: it permits nothing
      throw error;
    }
  }
}

/** Every stored version, of one patient or of all: for a verification, which compares them with the chains. */
export function consentVersions(
  manager: EntityManager,
  patientId?: string,
): Promise<Pick<ConsentEntity, 'id' | 'patientId' | 'version' | 'height' | 'blockHash'>[]> {
  const builder = manager.createQueryBuilder(ConsentEntity, 'c').select(['c.id', 'c.patientId', 'c.version', 'c.height', 'c.blockHash']);
  if (patientId !== undefined) builder.where('c.patientId = :patientId', { patientId });
  return builder.getMany();
}

function ruleRow(rule: ConsentRule, patientId: string): ConsentRuleEntity {
  const grantee = 'doctors' in rule.who ? rule.who.doctors[0] : rule.who.hospitals[0];
  return { id: rule.id, patientId, grantee: grantee ?? '', validFrom: Date.parse(rule.validFrom), validUntil: Date.parse(rule.validUntil) };
}
