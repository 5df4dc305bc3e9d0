import fc from 'fast-check';
import { MALFORMED_JSON, WELL_FORMED_JSON } from '../../test/support/json-documents';
import { JsonTextError, parseStrictJson } from './json-text';

/** What the parser makes of a text: its value, or that it refuses. Any other error is a fault. */
function outcome(text: string): { value: unknown } | 'refused' {
  try {
    return { value: parseStrictJson(text) };
  } catch (error) {
    if (error instanceof JsonTextError) return 'refused';
    throw error;
  }
}

test('SEC-58 malformed documents are refused, each of them', () => {
  expect(MALFORMED_JSON.filter((text) => outcome(text) !== 'refused')).toEqual([]);
  expect(new Set(MALFORMED_JSON).size).toBeGreaterThan(200);
});

test('SEC-58 well-formed documents are read as JSON.parse reads them', () => {
  for (const text of WELL_FORMED_JSON) expect([text, outcome(text)]).toEqual([text, { value: JSON.parse(text) as unknown }]);
});

test('SEC-58 whatever is accepted JSON.parse accepts too, and both read the same: changed documents by chance', () => {
  const change = fc.tuple(
    fc.constantFrom(...WELL_FORMED_JSON),
    fc.nat(60),
    fc.constantFrom('cut', 'drop', 'put'),
    fc.constantFrom(...'{}[]",:\\u0e-+. \n\tatfnx1\u0000\ud800'),
  );
  fc.assert(
    fc.property(change, ([text, at, kind, letter]) => {
      const place = at % (text.length + 1);
      const changed =
        kind === 'cut'
          ? text.slice(0, place)
          : text.slice(0, place) + (kind === 'put' ? letter : '') + text.slice(place + (kind === 'drop' ? 1 : 0));
      const read = outcome(changed);
      if (read !== 'refused') expect(read.value).toEqual(JSON.parse(changed));
    }),
    { seed: 58, numRuns: 5_000 },
  );
});

test('SEC-58 what JSON.stringify writes is read back, unless two readers may differ on it', () => {
  const json = fc
    .jsonValue({ maxDepth: 6, stringUnit: 'grapheme' })
    .filter((value) => !/\\u0000|"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)));
  fc.assert(
    fc.property(json, (value) => {
      const text = JSON.stringify(value);
      expect(outcome(text)).toEqual({ value: JSON.parse(text) as unknown });
    }),
    { seed: 59, numRuns: 1_000 },
  );
});
