import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Actor } from '../common/actor';
import { AuditService } from '../audit/audit.service';
import { AccountsService } from '../auth/accounts.service';
import { IdempotencyService } from '../auth/idempotency.service';
import { Clock, isoTime } from '../common/clock';
import { notFound } from '../common/errors';
import { newId } from '../common/ids';
import { cursorId, toPage, type Page, type PageQuery } from '../common/page';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import { checkedRows, insertRow, selectRows } from '../database/rows';
import type { CreatedHospitalResponse, CreateHospitalDto, HospitalResponse } from './hospital.dto';
import { HospitalEntity } from './hospital.entity';

@Injectable()
export class HospitalsService {
  /** Origins never change, so they are remembered. */
  private readonly origins = new Map<string, string>();

  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly idempotency: IdempotencyService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Makes the hospital, its ledger's name, and the code for its login. */
  create(actor: Actor, dto: CreateHospitalDto): Promise<CreatedHospitalResponse> {
    return this.idempotency.transaction(actor, async (tx) => {
      const createdAt = this.clock.now();
      const id = newId(createdAt);
      const row = {
        id,
        name: dto.name,
        city: dto.city,
        country: dto.country,
        ledgerOrigin: `${this.config.ledgerOriginBase}/${id}`,
        createdAt,
      };
      await insertRow(tx, HospitalEntity, row);
      await this.audit.append(tx, {
        action: 'hospital.create',
        outcome: 'ok',
        actor,
        requestId: actor.requestId,
        hospitalId: id,
        subjectId: id,
      });
      const activation = await this.accounts.issue(tx, actor, { id, role: 'HOSPITAL', hospitalId: id, name: dto.name });
      return { ...toResponse(row), activation };
    });
  }

  async list(query: PageQuery): Promise<Page<HospitalResponse>> {
    const builder = this.database.reader
      .createQueryBuilder(HospitalEntity, 'h')
      .orderBy('h.id')
      .limit(query.limit + 1);
    const after = cursorId(query);
    if (after !== undefined) builder.where('h.id > :after', { after });
    return toPage(checkedRows(this.database.reader, HospitalEntity, await builder.getMany()), query.limit, (row) => row.id, toResponse);
  }

  async read(id: string): Promise<HospitalResponse> {
    const [row] = await selectRows(this.database.reader, HospitalEntity, 'id', [id]);
    if (!row) throw notFound();
    return toResponse(row);
  }

  async exists(manager: EntityManager, id: string): Promise<boolean> {
    return (await selectRows(manager, HospitalEntity, 'id', [id])).length > 0;
  }

  /** The hospital of a server that has just one; else null. */
  async only(): Promise<string | null> {
    const [first, second] = await this.database.reader
      .getRepository(HospitalEntity)
      .find({ select: { id: true }, order: { id: 'ASC' }, take: 2 });
    return first && !second ? first.id : null;
  }

  /** Names by id, for views that say where something was done. */
  async names(manager: EntityManager, ids: readonly string[]): Promise<Map<string, string>> {
    const rows = await selectRows(manager, HospitalEntity, 'id', [...new Set(ids)]);
    return new Map(rows.map((row) => [row.id, row.name]));
  }

  /** Name of the hospital's ledger, among what is committed: a hospital exists before its first patient. */
  async ledgerOrigin(id: string): Promise<string> {
    const known = this.origins.get(id);
    if (known !== undefined) return known;
    const { ledgerOrigin } = await this.read(id);
    this.origins.set(id, ledgerOrigin);
    return ledgerOrigin;
  }
}

/** Name of a hospital's ledger as it is stored; null when there is no such hospital. For verifiers, which have no services. */
export async function ledgerOriginOf(manager: EntityManager, id: string): Promise<string | null> {
  const row = await manager.getRepository(HospitalEntity).findOneBy({ id });
  return row?.ledgerOrigin ?? null;
}

/** Ids of all hospitals, oldest first. */
export async function hospitalIds(manager: EntityManager): Promise<string[]> {
  const rows = await manager.getRepository(HospitalEntity).find({ select: { id: true }, order: { id: 'ASC' } });
  return rows.map((row) => row.id);
}

function toResponse(row: HospitalEntity): HospitalResponse {
  return {
    id: row.id,
    name: row.name,
    city: row.city,
    country: row.country,
    ledgerOrigin: row.ledgerOrigin,
    createdAt: isoTime(row.createdAt),
  };
}
