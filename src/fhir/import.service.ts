import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service';
import { AuditService } from '../audit/audit.service';
import { IdempotencyService } from '../auth/idempotency.service';
import type { Actor } from '../common/actor';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { newId } from '../common/ids';
import { isJsonTextCode } from '../common/json-text';
import { OneAtATime } from '../common/one-at-a-time';
import { BlindIndex } from '../crypto/blind-index';
import { KeyRing } from '../crypto/key-ring.service';
import { insertRow } from '../database/rows';
import { PatientsService } from '../patient/patients.service';
import { SealingService } from '../record/sealing.service';
import { BundleError, type BundleResource, type PatientBundle, readBundle } from './bundle';
import { DirectoryEntity } from './directory.entity';
import type { ImportResponse } from './import.dto';
import { profileOf } from './patient-profile';

/** After so many rows a long import lets other requests read. */
const TURN = 64;

/** Takes a FHIR R4 bundle in: one patient with the whole chart, or a directory. All of it is stored, or nothing. */
@Injectable()
export class ImportService {
  /** A large bundle takes a second of the one thread and some 100 MB. */
  private readonly turns = new OneAtATime();

  constructor(
    private readonly access: AccessService,
    private readonly patients: PatientsService,
    private readonly sealing: SealingService,
    private readonly idempotency: IdempotencyService,
    private readonly blindIndex: BlindIndex,
    private readonly keyRing: KeyRing,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** `text` is the bundle as it was sent. Reading and validating come before the transaction, which only stores. */
  importBundle(actor: Actor, text: string): Promise<ImportResponse> {
    return this.turns.run(() => this.import(actor, text));
  }

  private async import(actor: Actor, text: string): Promise<ImportResponse> {
    const bundle = await read(text);
    return this.idempotency.transaction(actor, async (tx) => {
      const directory = await this.storeDirectory(tx, actor, bundle.directory);
      if (bundle.kind === 'directory') return { patientId: null, sealed: 0, height: null, blockHash: null, directory };
      return { ...(await this.storePatient(tx, actor, bundle)), directory };
    });
  }

  private async storePatient(tx: EntityManager, actor: Actor, bundle: PatientBundle): Promise<Omit<ImportResponse, 'directory'>> {
    const { index, resource } = bundle.patient;
    const { id } = await this.patients.enrolIn(tx, actor, profileOf(resource)).catch((error: unknown) => {
      throw atEntry(error, index);
    });
    return this.access.within(tx, actor, 'record.import', { patientId: id }, async (_tx, grant) => {
      const profile = { kind: 'Patient', text: bundle.patient.text, block: 'profile' as const };
      const records = bundle.clinical.map((item) => ({ kind: item.resourceType, text: item.text, block: 'record' as const }));
      const blocks = await this.sealing.sealFinished(tx, grant, [profile, ...records]);
      const head = blocks.at(-1);
      grant.note({ count: blocks.length, kind: 'Bundle' });
      return { patientId: id, sealed: blocks.length, height: head?.height ?? null, blockHash: head?.blockHash ?? null };
    });
  }

  /** Stores what is new; the same text a second time is the same entry. Says how many were new. */
  private async storeDirectory(tx: EntityManager, actor: Actor, resources: readonly BundleResource[]): Promise<number> {
    const { hospitalId } = actor;
    if (hospitalId === null) throw new ApiError('forbidden');
    if (resources.length === 0) return 0;
    const vault = await this.keyRing.vault(tx, { subjectId: hospitalId, tenantId: hospitalId });
    let added = 0;
    for (const [index, item] of resources.entries()) {
      const digest = this.blindIndex.unique(hospitalId, 'directory.content', createHash('sha256').update(item.text).digest('hex'));
      if (!(await tx.getRepository(DirectoryEntity).existsBy({ hospitalId, digest }))) {
        const id = newId(this.clock.now());
        const row = {
          id,
          hospitalId,
          kind: item.resourceType,
          digest,
          content: vault.seal('directory.content', id, item.text),
          createdAt: this.clock.now(),
        };
        await insertRow(tx, DirectoryEntity, row);
        added += 1;
      }
      if (index % TURN === TURN - 1) await nextTurn();
    }
    await this.audit.append(tx, { action: 'directory.import', outcome: 'ok', actor, requestId: actor.requestId, hospitalId, count: added });
    return added;
  }
}

/** A patient who is enrolled already, named by the bundle's entry. */
function atEntry(error: unknown, index: number): unknown {
  if (!(error instanceof ApiError) || error.code !== 'already_exists') return error;
  return new ApiError(error.code, error.detail, {
    errors: [{ path: `entry[${index}].resource.identifier`, message: 'names a patient who is enrolled at this hospital' }],
  });
}

async function read(text: string): ReturnType<typeof readBundle> {
  try {
    return await readBundle(text);
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    const [first] = error.issues;
    if (first && isJsonTextCode(first.code))
      throw new ApiError('malformed_json', first.message, { errors: [{ path: first.path, message: first.code }] });
    const errors = error.issues.map((issue) => ({ path: issue.path, message: `${issue.code}: ${issue.message}` }));
    throw new ApiError('invalid_bundle', 'Nothing of the bundle was stored', { errors });
  }
}
