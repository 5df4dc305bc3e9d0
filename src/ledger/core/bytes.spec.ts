import { FormatError, b64u, b64uDecode, hkdf, hmac, isUuid, label, sha256, u32be, u64be, uuidFromBytes, uuidToBytes } from './bytes';

describe('bytes', () => {
  it('labels are 16 ASCII bytes that end in a newline', () => {
    expect(label('blk').toString('hex')).toBe('626a77742d6568722f626c6b2f76310a');
    expect(label('gen').toString('ascii')).toBe('bjwt-ehr/gen/v1\n');
    for (const name of ['gen', 'com', 'aad', 'blk'] as const) expect(label(name)).toHaveLength(16);
  });

  it('integers are big-endian and of fixed length', () => {
    expect(u64be(0x0102_0304_0506).toString('hex')).toBe('0000010203040506');
    expect(u64be(Number.MAX_SAFE_INTEGER).toString('hex')).toBe('001fffffffffffff');
    expect(u32be(0xffff_fffe).toString('hex')).toBe('fffffffe');
  });

  it.each([-1, 0.5, NaN, Infinity, 2 ** 53])('u64be refuses %p', (value) => expect(() => u64be(value)).toThrow(RangeError));
  it.each([-1, 0.5, NaN, 2 ** 32])('u32be refuses %p', (value) => expect(() => u32be(value)).toThrow(RangeError));

  it('hashes by the published examples (FIPS 180-2 "abc", RFC 4231 test case 2, RFC 5869 test case 3)', () => {
    expect(sha256('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    const mac = hmac(Buffer.from('Jefe'), Buffer.from('what do ya want '), Buffer.from('for nothing?'));
    expect(mac.toString('hex')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    expect(hkdf(Buffer.alloc(22, 0x0b), '', '', 42).toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });

  it('base64url reads back what it printed, also from a view into a larger buffer', () => {
    const bytes = Buffer.from('00fbff0110', 'hex');
    expect(b64u(bytes)).toBe('APv_ARA');
    expect(b64u(bytes.subarray(1, 3))).toBe('-_8');
    expect(b64uDecode('APv_ARA', 'x', 5)).toEqual(bytes);
    expect(b64uDecode('', 'x')).toHaveLength(0);
  });

  it.each([
    ['padding', 'AA=='],
    ['the other alphabet', 'APv/ARA'],
    ['spare bits', 'AB'],
    ['white space', 'AP v_ARA'],
    ['a newline', 'APv_ARA\n'],
    ['a lone character', 'A'],
    ['a foreign letter', 'AP\u00e9_'],
  ])('base64url refuses %s', (_, text) =>
    expect(() => b64uDecode(text, 'here')).toThrow(new FormatError('here', 'is not canonical base64url')),
  );

  it('base64url refuses another size and names the field', () => {
    expect(() => b64uDecode('AAAA', 'key', 32)).toThrow('key must have 32 bytes');
  });

  it('a UUID is its 16 bytes', () => {
    const text = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
    expect(uuidToBytes(text).toString('hex')).toBe('0f1e2d3c4b5a69788796a5b4c3d2e1f0');
    expect(uuidFromBytes(uuidToBytes(text))).toBe(text);
    expect(() => uuidFromBytes(Buffer.alloc(15))).toThrow(RangeError);
  });

  it.each([
    '0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0',
    '0f1e2d3c4b5a69788796a5b4c3d2e1f0',
    '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n',
    '',
    7,
    null,
  ])('a UUID is not %p', (value) => {
    expect(isUuid(value)).toBe(false);
    expect(() => uuidToBytes(value as string, 'recordId')).toThrow(FormatError);
  });
});
