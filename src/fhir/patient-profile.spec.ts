import { profileOf } from './patient-profile';

const identifier = (system: string, value: string, code?: string) => ({ system, value, ...(code ? { type: { coding: [{ code }] } } : {}) });
const idOf = (...identifiers: object[]) => profileOf({ resourceType: 'Patient', identifier: identifiers }).nationalId;

describe('profileOf', () => {
  it('ATTACK the same value of two systems is not the same person', () => {
    expect(idOf(identifier('urn:a', '7', 'MR'))).toBe('urn:a|7');
    expect(idOf(identifier('urn:b', '7', 'MR'))).toBe('urn:b|7');
    const long = `https://hospital.example.org/${'x'.repeat(100)}`;
    expect(idOf(identifier(long, '7'))).not.toBe(idOf(identifier(long, '8')));
  });

  it('a national identifier is what the hospital writes: the value', () => {
    expect(idOf(identifier('urn:a', '7', 'MR'), identifier('urn:c', '10000000146', 'NI'))).toBe('10000000146');
    expect(idOf(identifier('urn:us-ssn', '999-1', 'SS'))).toBe('999-1');
  });

  it('ATTACK a cut never leaves half a surrogate pair', () => {
    for (const shift of ['', 'a']) {
      const value = shift + '\u{1F489}'.repeat(600);
      const { name, phone, address, nationalId } = profileOf({
        name: [{ family: value }],
        telecom: [{ system: 'phone', value }],
        address: [{ text: value }],
        identifier: [{ value }],
      });
      for (const [text = '', length] of [
        [name, 200] as const,
        [phone, 200] as const,
        [address, 500] as const,
        [nationalId, 400] as const,
      ]) {
        expect(Array.from(text)).toHaveLength(length);
        expect(text).not.toMatch(/[\uD800-\uDFFF]/u);
      }
    }
  });
});
