import { randomFillSync } from 'node:crypto';

const BYTES = 16;
let lastTime = 0;
let sequence = 0;

/**
 * A new UUIDv7 (RFC 9562 section 5.7) as text. Ids made by one process rise strictly: the 12 bits after the time count up
 * within a millisecond (RFC 9562 section 6.2, method 1), so that rows insert at the end of their index and sort by creation.
 */
export function newId(now: number = Date.now()): string {
  if (now > lastTime) {
    lastTime = now;
    sequence = 0;
  } else if (++sequence > 0xfff) {
    lastTime += 1;
    sequence = 0;
  }
  const bytes = randomFillSync(Buffer.alloc(BYTES));
  bytes.writeUIntBE(lastTime, 0, 6);
  bytes.writeUInt16BE(0x7000 | sequence, 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The instant in the first 48 bits of a UUIDv7, ms since the epoch (RFC 9562 section 5.7). Of another id it says nothing. */
export function idTime(id: string): number {
  return Number.parseInt(id.replace('-', '').slice(0, 12), 16);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for the lower-case text form of any UUID: the only form in which ids are accepted, so that one row has one name. */
export function isId(value: string): boolean {
  return UUID.test(value);
}
