import { CryptoError } from './crypto-error';
import { DataKey } from './data-key';
import { type Binding, openBound, sealBound } from './envelope';
import type { Subject } from './vault';

/** What wraps other keys: a KEK in memory, or the root, wherever that is. */
export interface Wrapper {
  /** @throws CryptoError `hsm_unavailable`, `bad_context` */
  wrap(binding: Binding, key: Uint8Array): Buffer;
  /** @returns a buffer the caller wipes. @throws CryptoError `hsm_unavailable`, or another code when it is not what `wrap` gave */
  unwrap(binding: Binding, wrapped: Uint8Array): Buffer;
}

/** Wraps by an envelope under a key in memory. */
export class KeyWrapper implements Wrapper {
  constructor(private readonly key: DataKey) {}

  wrap(binding: Binding, key: Uint8Array): Buffer {
    return sealBound(this.key, binding, key);
  }

  unwrap(binding: Binding, wrapped: Uint8Array): Buffer {
    const bytes = openBound(this.key, binding, wrapped);
    if (typeof bytes === 'string') throw new CryptoError('envelope_wrong_type');
    return bytes;
  }
}

/** The binding of a wrapped KEK: it cannot be moved to another hospital or version. */
export function kekBinding(tenantId: string, version: number): Binding {
  return { label: 'ehr/kek/v1', parts: [tenantId, String(version)] };
}

/** The binding of a wrapped data key: it cannot be handed to another subject, hospital or KEK version. */
export function dekBinding(dekId: string, subject: Subject, kekVersion: number): Binding {
  return { label: 'ehr/dek/v1', parts: [dekId, subject.subjectId, subject.tenantId, String(kekVersion)] };
}

/** Makes a fresh random key and wraps it; `binding` may depend on the new key's id. */
export function createWrapped(under: Wrapper, binding: (id: string) => Binding): { key: DataKey; id: string; wrapped: Buffer } {
  const bytes = DataKey.randomBytes();
  const copy = Buffer.from(bytes);
  const key = DataKey.take(bytes);
  const id = key.id.toString('hex');
  const wrapped = under.wrap(binding(id), copy);
  copy.fill(0);
  return { key, id, wrapped };
}

/**
 * @throws CryptoError `key_rejected` for whatever is wrong with it: the caller knows which key it asked for, nobody else needs to;
 *   `hsm_unavailable`, which says nothing about the key
 */
export function unwrap(under: Wrapper, binding: Binding, wrapped: Uint8Array): DataKey {
  return DataKey.take(unwrapBytes(under, binding, wrapped));
}

/** The same for who wraps them again. @returns a buffer the caller wipes */
export function unwrapBytes(under: Wrapper, binding: Binding, wrapped: Uint8Array): Buffer {
  try {
    return under.unwrap(binding, wrapped);
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'hsm_unavailable') throw error;
    throw new CryptoError('key_rejected'); // a wrong key, a swapped row and a damaged row are one failure
  }
}
