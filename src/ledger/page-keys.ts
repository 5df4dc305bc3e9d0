import type { EntityManager } from 'typeorm';
import { selectRows } from '../database/rows';
import { keyLeaves } from '../tlog/places';
import type { ChainLeaves } from './chain-leaves';
import type { KeyOrder } from './core/block';
import { keyEventHash } from './core/key-event';
import type { PublicJwk } from './core/jwk';
import type { Finding } from './core/verdict';
import { KeyEventEntity } from './ledger.entity';
import { authorKidOf, type LoggedKey, loggedKeys, wellFormed } from './logged-keys';

interface PageRow {
  readonly height: number;
  readonly header: Buffer;
  readonly recordId: string;
}

/**
 * The keys that the blocks at hand were signed with, as the log of the chain's hospital has them. A walk turns to each page of rows before it looks at
 * them, so it knows a key that was registered while it was under way, and needs memory for one page.
 */
export class PageKeys {
  private keys = new Map<string, LoggedKey>();
  private readonly told = new Set<string>();

  constructor(
    private readonly manager: EntityManager,
    private readonly hospitalId: string,
    private readonly origin: string,
    private readonly leaves: Pick<ChainLeaves, 'orderOf'>,
  ) {}

  /**
   * Turns to the next rows of the chain.
   * @returns what the server's own rows of these keys say otherwise than the log, once for a key
   */
  async turn(rows: readonly PageRow[]): Promise<Finding[]> {
    const signed = rows.flatMap((row) => {
      const kid = Buffer.isBuffer(row.header) ? authorKidOf(row.header) : undefined;
      return kid === undefined ? [] : [{ height: row.height, recordId: row.recordId, kid }];
    });
    this.keys = await this.look([...new Set(signed.map(({ kid }) => kid))]);
    return signed.flatMap(({ kid, height, recordId }): Finding[] => {
      const field = this.keys.get(kid)?.misfit;
      if (field === undefined || this.told.has(kid)) return [];
      this.told.add(kid);
      return [{ code: 'CONTENT_MISMATCH', height, field, recordId }];
    });
  }

  /** Whether an event that waited for its place when the rows were turned to has it by now. Each moves once, so this is soon false. */
  async moved(): Promise<boolean> {
    const waited = waitingAmong(this.keys);
    if (waited.length === 0) return false;
    const waiting = new Set(waitingAmong(await this.look([...this.keys.keys()])));
    return waited.some((body) => !waiting.has(body));
  }

  private look(kids: readonly string[]): Promise<Map<string, LoggedKey>> {
    return loggedKeys(this.manager, this.hospitalId, this.origin, kids);
  }

  /** The public key that the log registered, if the server's row still holds it. */
  readonly keyOf = (kid: string): PublicJwk | undefined => {
    const row = this.keys.get(kid)?.row;
    return row ? { kty: 'OKP', crv: 'Ed25519', x: row.x } : undefined;
  };

  readonly keyOrder: KeyOrder = {
    placeOf: (hash) => this.leaves.orderOf(hash),
    registeredAt: (kid) => this.keys.get(kid)?.registered.place.order,
    revokedAt: (kid) => this.keys.get(kid)?.revoked?.place.order,
  };
}

/** Bodies of the events that wait for their place. */
function waitingAmong(keys: ReadonlyMap<string, LoggedKey>): string[] {
  const events = [...keys.values()].flatMap(({ registered, revoked }) => (revoked ? [registered, revoked] : [registered]));
  return events.filter(({ place }) => place.leafIndex === null).map(({ body }) => body);
}

/**
 * Says whether an event about a key stands in the log of a hospital and its row is gone or altered: a revocation could be hidden so. A body that is whole
 * does not suffice, for events are looked up by the columns beside it. Looked up once for a hospital.
 */
export function hiddenEventsOf(
  manager: EntityManager,
  originOf: (hospitalId: string) => Promise<string>,
): (hospitalId: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  const look = async (hospitalId: string): Promise<boolean> => {
    const leaves = await keyLeaves(manager, hospitalId); // before the rows: an event has its row before its leaf
    const rows = await selectRows(manager, KeyEventEntity, 'hospitalId', [hospitalId]);
    const origin = await originOf(hospitalId);
    const found = new Set(rows.flatMap((row) => wellFormed(row, origin)).map(({ body }) => keyEventHash(body).toString('hex')));
    return leaves.some((hash) => !found.has(hash.toString('hex')));
  };
  return (hospitalId) => {
    const found = known.get(hospitalId) ?? look(hospitalId);
    known.set(hospitalId, found);
    return found;
  };
}
