import { Injectable } from '@nestjs/common';
import { Clock } from '../common/clock';
import { Database } from '../database/database';
import { lastCosigned, newestCheckpoint, workOf } from './checkpoint-store';
import { LogPublisher } from './log-publisher.service';
import { idOf } from './witness-client';
import { WitnessingService } from './witnessing.service';

/** How far one log has come. */
export interface LogStatus {
  readonly origin: string;
  /** Leaves. */
  readonly size: number;
  /** Leaves under the newest checkpoint; 0 before the first. */
  readonly signedSize: number;
  /** Entries that wait for their place. */
  readonly pending: number;
  /** Why it takes nothing; null when it does. */
  readonly halted: string | null;
  /** By name of their keys: the largest size that each has cosigned; 0 before the first. */
  readonly witnesses: { readonly name: string; readonly cosignedSize: number }[];
}

/** Says how the logs that grow here are doing. */
@Injectable()
export class LogStatusService {
  private readonly startedAt: number;

  constructor(
    private readonly database: Database,
    private readonly publisher: LogPublisher,
    private readonly witnessing: WitnessingService,
    private readonly clock: Clock,
  ) {
    this.startedAt = clock.now();
  }

  /** Each log, or that of one hospital, with its witnesses. */
  async all(hospitalId: string | null = null): Promise<LogStatus[]> {
    const { reader } = this.database;
    const logs: LogStatus[] = [];
    for (const work of await workOf(reader)) {
      if (hospitalId !== null && work.hospitalId !== hospitalId) continue;
      const witnesses: LogStatus['witnesses'] = [];
      for (const witness of this.witnessing.expected)
        witnesses.push({ name: witness.key.name, cosignedSize: await lastCosigned(reader, work.id, idOf(witness)) });
      logs.push({ ...this.figures(work), witnesses });
    }
    return logs;
  }

  /** Each log without its witnesses: one statement in all. */
  async plain(): Promise<Omit<LogStatus, 'witnesses'>[]> {
    return (await workOf(this.database.reader)).map((work) => this.figures(work));
  }

  /** Time since the checkpoint of the log that is furthest behind, in ms; 0 when every entry is under one. A log without any counts from the start of the server. */
  async lagMs(): Promise<number> {
    const { reader } = this.database;
    const behind = (await workOf(reader)).filter(({ size, pending, signedSize }) => size + pending > Math.max(0, signedSize));
    const checkpoints = await Promise.all(behind.map(({ id }) => newestCheckpoint(reader, id)));
    return Math.max(0, ...checkpoints.map((last) => this.clock.now() - (last?.signedAt ?? this.startedAt)));
  }

  private figures({ id, origin, size, signedSize, pending }: Awaited<ReturnType<typeof workOf>>[number]): Omit<LogStatus, 'witnesses'> {
    return { origin, size, signedSize: Math.max(0, signedSize), pending, halted: this.publisher.haltOf(id) ?? null };
  }
}
