import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { BlindIndex, normaliseIdentifier } from './blind-index';
import { CryptoError } from './crypto-error';
import type { RootKeys } from './root-keys';

const keys = (byte: number) => ({ indexKey: createSecretKey(Buffer.alloc(32, byte)) }) as RootKeys;
const index = new BlindIndex(keys(1));

describe('blind index', () => {
  it('SEC-86 one value in two hospitals, two fields or under two keys gives different cells', () => {
    const cells = [
      index.unique('tenant-1', 'account.username', 'jane'),
      index.unique('tenant-2', 'account.username', 'jane'),
      index.unique('tenant-1', 'patient.national_id', 'jane'),
      new BlindIndex(keys(2)).unique('tenant-1', 'account.username', 'jane'),
    ].map((cell) => cell.toString('hex'));
    expect(new Set(cells).size).toBe(4);
    expect(cells.every((cell) => cell.length === 32)).toBe(true);
  });

  it('is stable across instances: the stored cells must be found after a restart', () => {
    expect(new BlindIndex(keys(1)).unique('tenant-1', 'account.username', 'Jane')).toEqual(
      index.unique('tenant-1', 'account.username', 'jane'),
    );
  });

  it.each([
    ['Jane', ' jANE\t'],
    ['STRASSE', 'straße'],
    ['STRAẞE', 'straße'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['ﬁona', 'FIONA'],
    ['ＪＡＮＥ', 'jane'],
    ['e\u0301mile', 'ÉMILE'],
  ])('%s and %s are one name', (a, b) => {
    expect(index.unique('t', 'account.username', a)).toEqual(index.unique('t', 'account.username', b));
  });

  it('normalisation does not depend on the case it was typed in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        expect(normaliseIdentifier(value.toLowerCase())).toBe(normaliseIdentifier(value));
      }),
    );
  });

  it('refuses an empty name, a lone surrogate and an empty scope', () => {
    for (const value of ['', ' \t ', 'a\ud800'])
      expect(() => index.unique('t', 'account.username', value)).toThrow(new CryptoError('bad_value'));
    expect(() => index.unique('', 'account.username', 'jane')).toThrow(new CryptoError('bad_context'));
  });
});
