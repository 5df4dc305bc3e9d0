import { type EntityManager, MoreThan } from 'typeorm';
import { CryptoError } from './crypto-error';
import { DataKey } from './data-key';
import { DataKeyRow } from './data-key.entity';
import { KekRow } from './kek.entity';
import { replaceRootCheck } from './key-check';
import { createWrapped, dekBinding, kekBinding, KeyWrapper, unwrap, unwrapBytes, type Wrapper } from './key-wrap';
import type { Root } from './root-keys';

/** A key-encryption key as an operator sees it. `current` wraps new data keys; a `decrypt-only` one only opens what it wrapped. */
export interface KekState {
  readonly tenantId: string;
  readonly version: number;
  readonly state: 'current' | 'decrypt-only';
  /** Living data keys that it wraps. */
  readonly dataKeys: number;
  readonly createdAt: number;
}

const PAGE = 100;

/** Every KEK, by hospital and version. */
export async function kekStates(manager: EntityManager): Promise<KekState[]> {
  const keks = await manager.find(KekRow, { order: { tenantId: 'ASC', version: 'ASC' } });
  const states: KekState[] = [];
  for (const { tenantId, version, createdAt } of keks) {
    const dataKeys = await manager.countBy(DataKeyRow, { tenantId, kekVersion: version, state: 'active' });
    const isCurrent = !keks.some((other) => other.tenantId === tenantId && other.version > version);
    states.push({ tenantId, version, createdAt, dataKeys, state: isCurrent ? 'current' : 'decrypt-only' });
  }
  return states;
}

/**
 * Rotation of a hospital's KEK while servers run: `begin` makes a version, which wraps new data keys from its commit on; `rewrapPage` takes the others over,
 * a page in each transaction; `retire` destroys the former version. No data is touched, for data keys stay as they are. Stopped between two
 * transactions it goes on where it was: what is left to do is what the rows say.
 */
export class KekRotation {
  constructor(private readonly root: Root) {}

  /** The version to rewrap to: a new one, or the current one when an earlier rotation was not finished. @throws CryptoError `kek_missing` */
  async begin(tx: EntityManager, tenantId: string): Promise<{ version: number; isNew: boolean }> {
    const states = (await kekStates(tx)).filter((kek) => kek.tenantId === tenantId);
    const current = states.find(({ state }) => state === 'current');
    if (!current) throw new CryptoError('kek_missing');
    if (states.some(({ state, dataKeys }) => state === 'decrypt-only' && dataKeys > 0)) return { version: current.version, isNew: false };
    const version = current.version + 1;
    const { wrapped } = createWrapped(this.root, () => kekBinding(tenantId, version));
    await tx.insert(KekRow, { tenantId, version, wrapped, createdAt: Date.now() });
    return { version, isNew: true };
  }

  /**
   * Wraps the data keys of one page by the current version. In the order of subjects, so that each page is found by the index, and once: keys
   * made meanwhile have the current version already.
   * @param after the subject at which the page before ended; '' at first
   * @returns how many were rewrapped, and the page's last subject, or undefined at the end
   * @throws CryptoError `kek_missing`, `key_rejected` (a damaged row stops the rotation before the key it needs is gone)
   */
  async rewrapPage(tx: EntityManager, tenantId: string, after: string): Promise<{ moved: number; last: string | undefined }> {
    const page = await tx.find(DataKeyRow, { where: { tenantId, subjectId: MoreThan(after) }, order: { subjectId: 'ASC' }, take: PAGE });
    const keks = await this.#open(tx, tenantId);
    const version = Math.max(...keks.keys());
    let moved = 0;
    for (const row of page) {
      if (row.state !== 'active' || row.kekVersion === version) continue;
      const [from, to] = [keks.get(row.kekVersion), keks.get(version)];
      if (!from || !to) throw new CryptoError('key_rejected');
      await tx.update(DataKeyRow, { dekId: row.dekId }, { kekVersion: version, wrapped: rewrap(row, from, to, version) });
      moved++;
    }
    return { moved, last: page.length === PAGE ? page.at(-1)?.subjectId : undefined };
  }

  /** Destroys a version that wraps nothing any more. @throws CryptoError `kek_missing`, `kek_in_use` */
  async retire(tx: EntityManager, tenantId: string, version: number): Promise<void> {
    const kek = (await kekStates(tx)).find((found) => found.tenantId === tenantId && found.version === version);
    if (!kek) throw new CryptoError('kek_missing');
    if (kek.state === 'current' || kek.dataKeys > 0) throw new CryptoError('kek_in_use');
    await tx.delete(KekRow, { tenantId, version });
  }

  async #open(tx: EntityManager, tenantId: string): Promise<Map<number, Wrapper>> {
    const rows = await tx.findBy(KekRow, { tenantId });
    if (rows.length === 0) throw new CryptoError('kek_missing');
    return new Map(
      rows.map(({ version, wrapped }) => [version, new KeyWrapper(unwrap(this.root, kekBinding(tenantId, version), wrapped))]),
    );
  }
}

/** The same data key under another KEK. Its id is checked before: a key that is not the one of the row must not get a good wrapping. */
function rewrap(row: DataKeyRow, from: Wrapper, to: Wrapper, version: number): Buffer {
  const bytes = unwrapBytes(from, dekBinding(row.dekId, row, row.kekVersion), row.wrapped);
  try {
    if (DataKey.take(Buffer.from(bytes)).id.toString('hex') !== row.dekId) throw new CryptoError('key_rejected');
    return to.wrap(dekBinding(row.dekId, row, version), bytes);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Wraps every KEK by another root, all in one transaction: a database has one root. No server may run, for it would go on with the former.
 * @returns how many
 * @throws CryptoError `key_rejected`, `hsm_unavailable`
 */
export async function rewrapKeks(tx: EntityManager, from: Root, to: Root): Promise<number> {
  const keks = await tx.find(KekRow);
  for (const { tenantId, version, wrapped } of keks) {
    const bytes = unwrapBytes(from, kekBinding(tenantId, version), wrapped);
    await tx.update(KekRow, { tenantId, version }, { wrapped: to.wrap(kekBinding(tenantId, version), bytes) });
    bytes.fill(0);
  }
  await replaceRootCheck(tx, to);
  return keks.length;
}
