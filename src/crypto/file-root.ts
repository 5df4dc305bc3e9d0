import { createHmac, type KeyObject } from 'node:crypto';
import { sameBytes } from './bytes';
import { DataKey } from './data-key';
import { KeyWrapper } from './key-wrap';
import type { Root } from './root-keys';

/** HMAC of a constant: it tells a 256-bit key from others and says nothing about it. */
export function hmacCheck(key: KeyObject, name: string): Buffer {
  return createHmac('sha256', key).update(`ehr/key-check/v1/${name}`).digest();
}

/** A root in this process's memory, from `root.key`. */
export class FileRoot extends KeyWrapper implements Root {
  constructor(private readonly secret: KeyObject) {
    super(new DataKey(secret));
  }

  checkValue(): Buffer {
    return hmacCheck(this.secret, 'root');
  }

  matches(checkValue: Buffer): boolean {
    return sameBytes(checkValue, this.checkValue());
  }
}
