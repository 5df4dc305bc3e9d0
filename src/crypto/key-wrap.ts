import { CryptoError } from './crypto-error';
import { DataKey } from './data-key';
import { type Binding, openBound, sealBound } from './envelope';
import type { Subject } from './vault';

/** The binding of a wrapped KEK: it cannot be moved to another hospital or version. */
export function kekBinding(tenantId: string, version: number): Binding {
  return { label: 'ehr/kek/v1', parts: [tenantId, String(version)] };
}

/** The binding of a wrapped data key: it cannot be handed to another subject, hospital or KEK version. */
export function dekBinding(dekId: string, subject: Subject, kekVersion: number): Binding {
  return { label: 'ehr/dek/v1', parts: [dekId, subject.subjectId, subject.tenantId, String(kekVersion)] };
}

/** Makes a fresh random key and wraps it; `binding` may depend on the new key's id. */
export function createWrapped(under: DataKey, binding: (id: string) => Binding): { key: DataKey; id: string; wrapped: Buffer } {
  const bytes = DataKey.randomBytes();
  const copy = Buffer.from(bytes);
  const key = DataKey.take(bytes);
  const id = key.id.toString('hex');
  const wrapped = sealBound(under, binding(id), copy);
  copy.fill(0);
  return { key, id, wrapped };
}

/** @throws CryptoError `key_rejected` for whatever is wrong with it: the caller knows which key it asked for, nobody else needs to */
export function unwrap(under: DataKey, binding: Binding, wrapped: Uint8Array): DataKey {
  try {
    const bytes = openBound(under, binding, wrapped);
    if (typeof bytes !== 'string') return DataKey.take(bytes);
  } catch {
    // falls through: a wrong key, a swapped row and a damaged row are one failure
  }
  throw new CryptoError('key_rejected');
}
