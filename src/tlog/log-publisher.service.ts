import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../common/clock';
import { LOGS, type Logs } from '../common/logger';
import { Tracer } from '../common/tracing';
import { CONFIG, type Config } from '../config/config';
import { Database } from '../database/database';
import type { News } from '../database/peers';
import { checkpointText } from '../ledger/core/checkpoint';
import { formatNote, signNote } from '../ledger/core/note';
import { CompactRange } from '../ledger/core/tree';
import { type LogWork, newestCheckpoint, storeCheckpoint, workOf } from './checkpoint-store';
import { LogKeys } from './log-keys';
import { BATCH, isLogGenuine, logOf, sequence, splitHashes } from './log-store';
import { SignedTrees } from './signed-trees';
import type { CheckpointEntity } from './tlog.entity';
import { TreeReader } from './tree-reader';
import { type Halt, WitnessingService } from './witnessing.service';

/** How often to look for entries that another process queued. */
const TICK_MS = 1_000;

interface Outcome {
  /** What was signed. */
  readonly checkpoint: CheckpointEntity | null;
  /** In how many ms there is something to sign. */
  readonly dueIn: number;
  /** Why nothing was signed though it was due. */
  readonly halt?: Halt;
}
const NOTHING_DUE: Outcome = { checkpoint: null, dueIn: TICK_MS };

/** What listeners learn: a checkpoint is published, or a witness has cosigned it. */
export interface Published {
  readonly logId: number;
  readonly size: number;
}

/**
 * Sequences and publishes, in the background: entries get their indexes in batches; when a log has grown and its last checkpoint is old enough, a new one is
 * signed, stored, and only then seen by anybody (invariants I6, I7); then the witnesses are asked. Several processes may do this on one database: each step
 * is one transaction with a compare-and-set, and the same tree gives the same checkpoint.
 *
 * If the process dies between any two steps, the next one that runs goes on from what is stored: queued entries are sequenced, a grown log is signed, a
 * checkpoint without cosignatures is offered again.
 */
@Injectable()
export class LogPublisher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly halts = new Map<number, Halt>();
  private readonly examined = new Set<number>();
  private readonly signed = new SignedTrees();
  private readonly listeners: ((published: Published) => void)[] = [];
  private readonly backlogs = new Map<number, number>();
  private readonly asking = new Set<Promise<void>>();
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private wake: () => void = () => undefined;
  private nudged = false;

  constructor(
    private readonly database: Database,
    private readonly witnessing: WitnessingService,
    private readonly keys: LogKeys,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGS) private readonly logs: Logs,
    private readonly tracer: Tracer,
  ) {}

  /** Before the first request is answered: a log that was rolled back must not take an entry. */
  async onApplicationBootstrap(): Promise<void> {
    await Promise.all((await workOf(this.database.reader)).map((work) => this.examine(work)));
    this.database.peers.onTold((news) => this.hear(news));
    this.running = this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.nudge();
    await this.running;
    await Promise.all(this.asking);
  }

  /** Something was queued. */
  nudge(): void {
    this.nudged = true;
    this.wake();
  }

  onPublished(listener: (published: Published) => void): void {
    this.listeners.push(listener);
  }

  /** Why this log takes no entries; undefined when it does. */
  haltOf(logId: number): Halt | undefined {
    return this.halts.get(logId);
  }

  /** Entries that wait for their place, as of the last look. */
  backlogOf(logId: number): number {
    return this.backlogs.get(logId) ?? 0;
  }

  /** Adds to the count until the next look. */
  queued(logId: number): void {
    this.backlogs.set(logId, this.backlogOf(logId) + 1);
    if (!this.nudged) this.database.peers.tell({ about: 'queued' });
    this.nudge();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      this.nudged = false;
      let pause = TICK_MS;
      try {
        const leads = await this.database.peers.leads();
        for (const work of await workOf(this.database.reader)) {
          if (this.stopped) return;
          pause = Math.min(pause, leads ? await this.advanceOrTell(work) : await this.follow(work));
        }
      } catch (error) {
        this.logs.app.error({ err: error }, 'log publisher');
      }
      await this.sleep(pause);
    }
  }

  private async sleep(ms: number): Promise<void> {
    if (this.nudged && ms > 0) ms = 0;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = () => undefined;
  }

  /** One hospital's log that cannot go on is no reason for the others' to stop. */
  private async advanceOrTell(work: LogWork): Promise<number> {
    try {
      const isDue = work.pending > 0 || work.size > work.signedSize;
      return await (isDue ? this.tracer.background('log.publish', () => this.advance(work)) : this.advance(work));
    } catch (error) {
      this.logs.app.error({ err: error, origin: work.origin }, 'log publisher');
      return TICK_MS;
    }
  }

  /** Another process sequences and signs: this one only knows how far it is. */
  private async follow(work: LogWork): Promise<number> {
    this.backlogs.set(work.id, work.pending);
    if (!this.examined.has(work.id)) await this.examine(work);
    return TICK_MS;
  }

  private hear(news: News): void {
    if (news.about === 'queued') this.nudge();
    else if (news.about === 'published') this.tellListeners(news);
    else if (news.about === 'halted') this.halts.set(news.logId, news.halt as Halt);
  }

  private async examine(work: LogWork): Promise<void> {
    const genuine = await isLogGenuine(this.database.reader, work.id);
    this.halt(work, genuine ? await this.witnessing.examine(work) : 'LOG_ALTERED');
    await this.learn(work);
    this.examined.add(work.id);
  }

  /** Does what one log needs now. @returns in how many ms it needs something again */
  private async advance(work: LogWork): Promise<number> {
    this.backlogs.set(work.id, work.pending);
    if (!this.examined.has(work.id)) await this.examine(work);
    if (this.halts.has(work.id)) return TICK_MS;
    if (!(await isLogGenuine(this.database.reader, work.id))) return (this.halt(work, 'LOG_ALTERED'), TICK_MS);
    const taken =
      work.pending > 0 ? await this.database.transaction((tx) => sequence(tx, work.id, (count) => this.refused(work, count))) : 0;
    this.backlogs.set(work.id, Math.max(0, this.backlogOf(work.id) - taken));
    // Also in the middle of a backlog: a log that never rests must be signed all the same.
    const grown = work.size + taken > work.signedSize;
    const { checkpoint, dueIn, halt } = grown ? await this.database.transaction((tx) => this.publish(tx, work)) : NOTHING_DUE;
    if (halt) return (this.halt(work, halt), TICK_MS);
    if (checkpoint) {
      await this.learn(work);
      this.announce(checkpoint);
    }
    const newest = checkpoint ?? (this.witnessing.witnesses.length > 0 ? await newestCheckpoint(this.database.reader, work.id) : null);
    if (newest) this.ask(work, newest);
    return taken === BATCH ? 0 : dueIn;
  }

  /** Signs the tree when it has grown and the last checkpoint is old enough. */
  private async publish(tx: EntityManager, { id, origin }: LogWork): Promise<Outcome> {
    const log = await logOf(tx, id);
    const last = await newestCheckpoint(tx, id);
    if (last && log.size <= last.size) return NOTHING_DUE;
    const signedAt = this.clock.now();
    // A clock that was set back must not stop the log: an instant in the future counts as long ago.
    const age = last ? signedAt - last.signedAt : Infinity;
    const { checkpointMs } = this.config.ledger;
    if (age >= 0 && age < checkpointMs) return { checkpoint: null, dueIn: checkpointMs - age };
    const tree = new TreeReader(tx, id);
    const halt = await this.signed.contradiction(tx, id, tree, this.witnessing.policyFor(origin));
    if (halt) return { ...NOTHING_DUE, halt };
    // Of the edge, which only this server can have written; the leaves, which carry no tags, must give the same.
    const root = CompactRange.of(BigInt(log.size), splitHashes(log.edge)).root();
    if (!root.equals(await tree.root(BigInt(log.size)))) return { ...NOTHING_DUE, halt: 'CONSISTENCY_INVALID' };
    const text = checkpointText({ origin, size: BigInt(log.size), root });
    const checkpoint = {
      logId: id,
      size: log.size,
      signedAt,
      note: formatNote({ text, signatures: [signNote(text, this.keys.log(origin))] }),
    };
    await storeCheckpoint(tx, checkpoint);
    return { checkpoint, dueIn: TICK_MS };
  }

  private refused({ origin }: LogWork, count: number): void {
    this.logs.app.error({ origin, count }, 'entries that this server does not write waited for the log; they were dropped');
  }

  private learn({ id, origin }: LogWork): Promise<void> {
    return this.signed.learn(this.database.reader, id, this.witnessing.policyFor(origin));
  }

  /** In the background: a slow witness must not keep the log from growing. */
  private ask(work: LogWork, checkpoint: CheckpointEntity): void {
    const asking = this.gather(work, checkpoint).finally(() => this.asking.delete(asking));
    this.asking.add(asking);
  }

  private async gather(work: LogWork, checkpoint: CheckpointEntity): Promise<void> {
    try {
      this.halt(work, await this.witnessing.gather(work, checkpoint, () => this.announce(checkpoint)));
    } catch (error) {
      this.logs.app.error({ err: error }, 'witnesses');
    }
  }

  private announce({ logId, size }: Published): void {
    this.tellListeners({ logId, size });
    this.database.peers.tell({ about: 'published', logId, size });
  }

  private tellListeners({ logId, size }: Published): void {
    for (const listener of this.listeners) listener({ logId, size });
  }

  private halt(work: LogWork, halt: Halt | null): void {
    if (halt === null) return;
    this.halts.set(work.id, halt);
    this.database.peers.tell({ about: 'halted', logId: work.id, halt });
    this.logs.app.fatal({ origin: work.origin, halt }, 'the log is halted: nothing is sealed or signed in it until its operator acts');
  }
}
