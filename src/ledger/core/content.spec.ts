import { createCipheriv, createHash, createHmac, createSecretKey, hkdfSync } from 'node:crypto';
import { ciphertextHash, contentCommit, decryptContent, encryptContent, opening } from './content';

const place = {
  recordKey: Buffer.alloc(32, 0x01),
  ledgerId: Buffer.alloc(32, 0x02),
  chainId: Buffer.alloc(16, 0x03),
  recordId: '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0',
  version: 258,
};
const payload = Buffer.from('{"valueQuantity":{"value":27.0}}');
const nonce = Buffer.from('000102030405060708090a0b', 'hex');

describe('content', () => {
  it('opening is HKDF of the record key', () => {
    expect(opening(place.recordKey)).toEqual(Buffer.from(hkdfSync('sha256', place.recordKey, '', 'bjwt-ehr/open/v1', 32)));
    expect(() => opening(Buffer.alloc(31))).toThrow(RangeError);
  });

  it('commitment by hand: label, length, payload', () => {
    const key = Buffer.alloc(32, 0x0f);
    const input = Buffer.concat([Buffer.from('bjwt-ehr/com/v1\n'), Buffer.from('0000000000000020', 'hex'), payload]);
    expect(payload).toHaveLength(0x20);
    const expected = createHmac('sha256', key).update(input).digest();
    expect(contentCommit(key, payload)).toEqual(expected);
    expect(contentCommit(createSecretKey(key), payload)).toEqual(expected);
    expect(() => contentCommit(Buffer.alloc(16), payload)).toThrow(RangeError);
  });

  it('ciphertext by hand: nonce, AES-256-GCM under the AAD, tag', () => {
    const dek = Buffer.from(hkdfSync('sha256', place.recordKey, '', 'bjwt-ehr/dek/v1', 32));
    const aad = `${Buffer.from('bjwt-ehr/aad/v1\n').toString('hex')}${'02'.repeat(32)}${'03'.repeat(16)}0f1e2d3c4b5a49788796a5b4c3d2e1f000000102`;
    const cipher = createCipheriv('aes-256-gcm', dek, nonce, { authTagLength: 16 });
    cipher.setAAD(Buffer.from(aad, 'hex'));
    const body = Buffer.concat([cipher.update(payload), cipher.final()]);
    const expected = Buffer.concat([nonce, body, cipher.getAuthTag()]);
    const ciphertext = encryptContent({ ...place, payload, nonce });
    expect(ciphertext).toEqual(expected);
    expect(ciphertext).toHaveLength(12 + payload.length + 16);
    expect(ciphertextHash(ciphertext)).toEqual(createHash('sha256').update(expected).digest());
  });

  it('opens what it closed, also nothing at all', () => {
    for (const text of [payload, Buffer.alloc(0), Buffer.alloc(100_000, 7)]) {
      expect(decryptContent({ ...place, ciphertext: encryptContent({ ...place, payload: text }) })).toEqual(text);
    }
  });

  it('takes a fresh nonce each time', () => {
    const nonces = new Set(Array.from({ length: 64 }, () => encryptContent({ ...place, payload }).toString('hex', 0, 12)));
    expect(nonces.size).toBe(64);
    expect(() => encryptContent({ ...place, payload, nonce: Buffer.alloc(16) })).toThrow(RangeError);
  });

  it.each([
    ['record key', { recordKey: Buffer.alloc(32, 0x09) }],
    ['ledger', { ledgerId: Buffer.alloc(32, 0x09) }],
    ['chain', { chainId: Buffer.alloc(16, 0x09) }],
    ['record', { recordId: '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f1' }],
    ['version', { version: 259 }],
  ])('does not open for another %s', (_, other) => {
    expect(decryptContent({ ...place, ...other, ciphertext: encryptContent({ ...place, payload }) })).toBeNull();
  });

  it('does not open when any byte was changed or any length', () => {
    const ciphertext = encryptContent({ ...place, payload, nonce });
    for (let at = 0; at < ciphertext.length; at += 1) {
      const bad = Buffer.from(ciphertext);
      bad[at]! ^= 0x80;
      expect(decryptContent({ ...place, ciphertext: bad })).toBeNull();
      expect(decryptContent({ ...place, ciphertext: ciphertext.subarray(0, at) })).toBeNull();
    }
    expect(decryptContent({ ...place, ciphertext: Buffer.concat([ciphertext, Buffer.alloc(1)]) })).toBeNull();
  });

  it.each([
    { recordKey: Buffer.alloc(16) },
    { ledgerId: Buffer.alloc(16) },
    { chainId: Buffer.alloc(32) },
    { version: -1 },
    { recordId: 'A' },
  ])('refuses a place with %p', (wrong) => expect(() => encryptContent({ ...place, ...wrong, payload })).toThrow());
});
