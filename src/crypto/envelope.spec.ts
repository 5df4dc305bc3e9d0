import fc from 'fast-check';
import { lengthPrefixed } from './bytes';
import { CryptoError, type CryptoErrorCode } from './crypto-error';
import { DataKey } from './data-key';
import { type FieldContext, openEnvelope, sealBound, sealEnvelope } from './envelope';
import { fields, type Field } from './fields';

const key = DataKey.take(DataKey.randomBytes());
const context: FieldContext = { table: 'patient', column: 'name', rowId: 'row-1', subjectId: 'subject-1', tenantId: 'tenant-1' };

function codeOf(work: () => unknown): CryptoErrorCode | 'no error' {
  try {
    work();
    return 'no error';
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
}
const codeOfOpening = (envelope: Buffer, where = context, by = key) => codeOf(() => openEnvelope(by, where, envelope));

describe('envelope v1', () => {
  it('has the documented layout, byte for byte', () => {
    const envelope = sealEnvelope(key, context, 'Jane');
    expect(envelope.subarray(0, 2).toString('hex')).toBe('e101');
    expect(envelope.subarray(2, 18)).toEqual(key.id);
    expect(envelope).toHaveLength(2 + 16 + 24 + 64 + 16);
    const aad = lengthPrefixed(['ehr/field/v1', envelope.subarray(0, 18), 'patient', 'name', 'row-1', 'subject-1', 'tenant-1']);
    const inner = key.xaes.open(envelope.subarray(18, 42), envelope.subarray(42), aad);
    expect(inner).toEqual(Buffer.concat([Buffer.from('0100000004', 'hex'), Buffer.from('Jane'), Buffer.alloc(55)]));
  });

  it('SEC-79 any flipped, cut or appended byte is detected', () => {
    for (const value of ['', 'Jane', 'x'.repeat(59), 'y'.repeat(60), Buffer.from([0, 1, 2])]) {
      const envelope = sealEnvelope(key, context, value);
      for (let i = 0; i < envelope.length; i++) {
        for (const mask of [0x01, 0x80, 0xff]) {
          const changed = Buffer.from(envelope);
          changed[i] = (changed[i] ?? 0) ^ mask;
          expect(codeOfOpening(changed)).toMatch(/^envelope_/);
        }
        expect(codeOfOpening(envelope.subarray(0, i))).toMatch(/^envelope_/);
        expect(codeOfOpening(envelope.subarray(i + 1))).toMatch(/^envelope_/);
      }
      for (const extra of [1, 16, 63, 64, 128]) expect(codeOfOpening(Buffer.concat([envelope, Buffer.alloc(extra)]))).toMatch(/^envelope_/);
      expect(openEnvelope(key, context, envelope)).toEqual(value);
    }
  });

  it('SEC-79 a changed magic, suite or key id has its own code', () => {
    const changed = (at: number, byte: number) => {
      const envelope = sealEnvelope(key, context, 'Jane');
      envelope[at] = byte;
      return envelope;
    };
    expect(codeOfOpening(changed(0, 0xe2))).toBe('envelope_malformed');
    expect(codeOfOpening(changed(1, 0x02))).toBe('envelope_unknown_suite');
    expect(codeOfOpening(changed(2, (key.id[0] ?? 0) ^ 1))).toBe('envelope_wrong_key');
    expect(codeOfOpening(changed(30, 1).fill(7, 18, 42))).toBe('envelope_rejected');
  });

  it('SEC-78 swapped ciphertext by row, column, table, subject or tenant does not open', () => {
    const envelope = sealEnvelope(key, context, 'Jane');
    for (const part of ['table', 'column', 'rowId', 'subjectId', 'tenantId'] as const) {
      expect(codeOfOpening(envelope, { ...context, [part]: 'other' })).toBe('envelope_rejected');
    }
    // moving a letter across a boundary, or two parts swapped: LP() keeps them apart
    expect(codeOfOpening(envelope, { ...context, table: 'patientn', column: 'ame' })).toBe('envelope_rejected');
    expect(codeOfOpening(envelope, { ...context, subjectId: 'tenant-1', tenantId: 'subject-1' })).toBe('envelope_rejected');
    expect(codeOfOpening(envelope, context, DataKey.take(DataKey.randomBytes()))).toBe('envelope_wrong_key');
  });

  it('SEC-78 an envelope made for another purpose with the same parts does not open', () => {
    const parts = ['patient', 'name', 'row-1', 'subject-1', 'tenant-1'];
    expect(codeOfOpening(sealBound(key, { label: 'ehr/dek/v1', parts }, 'Jane'))).toBe('envelope_rejected');
  });

  it('SEC-79 authenticated content of another form is refused: type, length, padding', () => {
    const forge = (inner: Buffer) => {
      const envelope = sealEnvelope(key, context, '');
      const aad = lengthPrefixed(['ehr/field/v1', envelope.subarray(0, 18), 'patient', 'name', 'row-1', 'subject-1', 'tenant-1']);
      return Buffer.concat([envelope.subarray(0, 42), key.xaes.seal(envelope.subarray(18, 42), inner, aad)]);
    };
    const inner = (hex: string, size = 64) => Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(size)]).subarray(0, size);
    expect(codeOfOpening(forge(inner('0100000001' + '61')))).toBe('no error');
    expect(codeOfOpening(forge(inner('0000000001' + '61')))).toBe('envelope_malformed');
    expect(codeOfOpening(forge(inner('0300000001' + '61')))).toBe('envelope_malformed');
    expect(codeOfOpening(forge(inner('0100000001' + '6101')))).toBe('envelope_malformed'); // padding not zero
    expect(codeOfOpening(forge(inner('010000003c')))).toBe('envelope_malformed'); // longer than what is there
    expect(codeOfOpening(forge(inner('01ffffffff')))).toBe('envelope_malformed');
    expect(codeOfOpening(forge(inner('0100000001' + '61', 128)))).toBe('envelope_malformed'); // a bucket too many
  });

  it('SEC-81 equal plaintexts differ and no nonce repeats', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 100_000; i++) seen.add(sealEnvelope(key, context, 'Jane').toString('latin1', 18, 42));
    expect(seen.size).toBe(100_000);
  });

  it('SEC-82 length buckets: 0 to 59 bytes look alike, then steps of 64', () => {
    const size = (length: number) => sealEnvelope(key, context, 'x'.repeat(length)).length;
    expect(new Set(Array.from({ length: 60 }, (_, length) => size(length)))).toEqual(new Set([122]));
    expect([size(60), size(123), size(124)]).toEqual([186, 186, 250]);
  });

  it('returns every text and every byte string unchanged, and knows them apart', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
        (value) => {
          expect(openEnvelope(key, context, sealEnvelope(key, context, value))).toEqual(value);
        },
      ),
    );
  });

  it('refuses a lone surrogate and an empty or absent part of the context', () => {
    expect(codeOf(() => sealEnvelope(key, context, 'a\ud800'))).toBe('bad_value');
    for (const rowId of ['', 'a\udfff', undefined as unknown as string, 7 as unknown as string]) {
      expect(codeOf(() => sealEnvelope(key, { ...context, rowId }, 'x'))).toBe('bad_context');
    }
  });

  it('SEC-74 errors carry neither data nor the text or cause of OpenSSL', () => {
    try {
      openEnvelope(key, { ...context, rowId: 'row-2' }, sealEnvelope(key, context, 'Jane'));
      throw new Error('opened');
    } catch (error) {
      expect(String(error)).toBe('CryptoError: The envelope was altered or belongs to another place.');
      expect(error).not.toHaveProperty('cause');
    }
  });
});

it('fields: every field has its own table and column', () => {
  const places = (Object.keys(fields) as Field[]).map((field) => `${fields[field].table}.${fields[field].column}`);
  expect(new Set(places).size).toBe(places.length);
});
