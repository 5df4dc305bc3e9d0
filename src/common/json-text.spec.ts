import fc from 'fast-check';
import { cpuNow } from '../../test/support/cpu-time';
import { JsonTextError, exactText, exactTexts, parseStrictJson, withExtension } from './json-text';

const NO_LIMITS = { maxDepth: Infinity, maxKeys: Infinity };

function refusal(text: string, limits = {}): JsonTextError {
  try {
    parseStrictJson(text, limits);
  } catch (error) {
    if (error instanceof JsonTextError) return error;
    throw error;
  }
  throw new Error('the text was accepted');
}

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('parseStrictJson', () => {
  it.each([
    '1',
    ' [ ] ',
    '{}',
    'null',
    '"a\\u00e9\\n"',
    '[1,-0,0.5,1e9,1E-3]',
    '{"a":{"a":[{"a":1},{"a":2}]}}',
    '"😀"',
    '"\\ud83d\\ude00"',
    '\t[true,false]\r\n',
  ])('accepts %s', (text) => expect(parseStrictJson(text)).toEqual(JSON.parse(text)));

  it.each([
    '',
    ' ',
    '{',
    '[',
    '[1,]',
    '{"a":1,}',
    '[1 2]',
    '01',
    '+1',
    '1.',
    '.5',
    '-',
    '1e',
    'NaN',
    "'a'",
    '{a:1}',
    '{"a"}',
    '{"a":}',
    'nul',
    'tru e',
    '[1]]',
    '1 1',
  ])('refuses %j as malformed', (text) => {
    expect(parses(text)).toBe(false);
    expect(refusal(text).code).toBe('malformed_json');
  });

  it.each(['// c\n1', '/* c */1', '[1]//', '"a\nb"', '"\\x"', '"\\u00g0"', '"', '"\\', '\u000b1', '\u00a01'])(
    'refuses %j, no comment, no odd escape or space',
    (text) => expect(refusal(text).code).toBe('malformed_json'),
  );

  it.each([
    ['{"a":1,"a":1}', 'duplicate_key', 'a'],
    ['{"r":{"b":[0,{"x":1,"\\u0078":2}]}}', 'duplicate_key', 'r.b[1].x'],
    ['{"__proto__":{}}', 'malformed_json', '__proto__'],
    ['{"a":{"constructor":1}}', 'malformed_json', 'a.constructor'],
    ['[{"proto\\u0074ype":1}]', 'malformed_json', '[0].prototype'],
    ['{"a":"x\u0000"}', 'bad_character', 'a'],
    ['{"a":"x\\u0000"}', 'bad_character', 'a'],
    ['\u0000', 'bad_character', ''],
    ['{"a":"\ud83d"}', 'bad_character', 'a'],
    ['{"a":["\\ude00"]}', 'bad_character', 'a[0]'],
    ['"\\ud83dx"', 'bad_character', ''],
    ['"\\ud83d\\ud83d\\ude00"', 'bad_character', ''],
    ['\ufeff{}', 'bad_character', ''],
  ])('refuses %j: %s at %j', (text, code, path) => expect(refusal(text)).toMatchObject({ code, path }));

  it('counts depth and properties', () => {
    const nested = (n: number): string => '['.repeat(n) + ']'.repeat(n);
    const wide = (n: number): string => JSON.stringify(Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, 0])));
    expect(parseStrictJson(nested(32))).toBeDefined();
    expect(refusal(nested(33))).toMatchObject({ code: 'too_deep', offset: 32 });
    expect(parseStrictJson(wide(1000))).toBeDefined();
    expect(refusal(wide(1001)).code).toBe('too_many_keys');
    expect(refusal(`[${wide(600)},${wide(600)}]`).code).toBe('too_many_keys');
    expect(refusal(wide(3), { maxKeys: 2 }).code).toBe('too_many_keys');
  });

  it('ATTACK nesting: 40,000 opening brackets stop early, and without limits do not exhaust the stack', () => {
    expect(refusal('['.repeat(40_000)).code).toBe('too_deep');
    expect(refusal('{"a":'.repeat(40_000)).code).toBe('too_deep');
    expect(refusal('['.repeat(40_000), NO_LIMITS).code).toBe('malformed_json');
  });

  it('never repeats what was sent', () => {
    const { message, path } = refusal('{"secret value 123":"secret","secret value 123":2}');
    expect(`${message} ${path}`).not.toContain('secret');
    expect(path).toBe('*');
  });

  it('accepts exactly what JSON.parse accepts, apart from the refusals', () => {
    const piece = fc.constantFrom(
      ...'{}[],:"\\ \n\t01-+.eE/',
      'true',
      'null',
      '"a"',
      '"b":',
      '\\u0041',
      'x',
      '\u2028',
      '1.5e3',
      '{"a":1}',
      'é',
    );
    const mutated = fc
      .tuple(fc.json(), fc.nat(), piece)
      .map(([text, at, extra]) => text.slice(0, at % (text.length + 1)) + extra + text.slice((at % (text.length + 1)) + 1));
    const check = (text: string): void => {
      let code = 'accepted';
      try {
        expect(parseStrictJson(text, NO_LIMITS)).toEqual(JSON.parse(text));
      } catch (error) {
        if (!(error instanceof JsonTextError)) throw error;
        code = error.code;
      }
      // Names such as __proto__ are malformed too, hence the exception.
      if (code === 'accepted') expect(parses(text)).toBe(true);
      else if (code === 'malformed_json' && !/__proto__|constructor|prototype/.test(text)) expect(parses(text)).toBe(false);
    };
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          mutated,
          fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
        ),
        check,
      ),
      { numRuns: 3000 },
    );
  });

  it('keeps every value of arbitrary well-formed JSON', () => {
    const value = fc
      .jsonValue({ stringUnit: 'binary', maxDepth: 5 })
      .filter((v) => !/\\u0000|"(__proto__|constructor|prototype)"/.test(JSON.stringify(v)));
    fc.assert(
      fc.property(value, fc.nat(3), (v, indent) =>
        expect(parseStrictJson(JSON.stringify(v, null, indent))).toEqual(JSON.parse(JSON.stringify(v))),
      ),
    );
  });

  it('reads two megabytes in well under 300 ms', () => {
    const entry = {
      fullUrl: 'urn:uuid:0',
      resource: { resourceType: 'Observation', code: { text: 'ağrı 痛' }, value: [1.5, 'x'.repeat(80), { a: true }] },
    };
    const text = JSON.stringify({ entry: Array.from({ length: 12_000 }, () => entry) }, null, 1);
    const times = Array.from({ length: 5 }, () => {
      const start = cpuNow();
      parseStrictJson(text, NO_LIMITS);
      return (cpuNow() - start) * (2_000_000 / text.length);
    });
    expect(Math.min(...times)).toBeLessThan(300);
  });
});

describe('exact text', () => {
  const text =
    '{ "n": 27.0, "entry" : [ {"resource": {"v":43818.60 ,"w":"\\u0061"}}, {"x":{"resource":1}}, 7, {"resource":[ ]} ], "e":{"entry":[1]} }';

  it('is the source slice, whatever the value', () => {
    expect(exactText(text, ['n'])).toBe('27.0');
    expect(exactText(text, ['entry', 0, 'resource'])).toBe('{"v":43818.60 ,"w":"\\u0061"}');
    expect(exactText(text, ['entry', 0, 'resource', 'w'])).toBe('"\\u0061"');
    expect(exactText(text, [])).toBe(text);
    expect(exactText(text, ['entry', '0'])).toBeUndefined();
    expect(exactText(text, ['entry', 9])).toBeUndefined();
  });

  it('comes for all items of an array in one pass', () => {
    expect(exactTexts(text, ['entry'], 'resource')).toEqual(['{"v":43818.60 ,"w":"\\u0061"}', undefined, undefined, '[ ]']);
    expect(exactTexts(text, ['entry'])).toHaveLength(4);
    expect(exactTexts(text, ['entry'])[2]).toBe('7');
    expect(exactTexts(text, ['n'])).toEqual([]);
    expect(exactTexts(text, ['missing'], 'resource')).toEqual([]);
    expect(exactTexts('[1.0,2]', [])).toEqual(['1.0', '2']);
  });
});

describe('withExtension', () => {
  const extension = '{"url":"https://example.org/x","valueDecimal":1.0}';

  it.each([
    ['{"a": 27.0 }\n', `{"a": 27.0,"extension":[${extension}] }\n`],
    [' { } ', ` {"extension":[${extension}] } `],
    ['{"extension":[],"b":1}', `{"extension":[${extension}],"b":1}`],
    ['{"extension":[ {"url":"u","extension":[{}]} ],"b":1}', `{"extension":[ {"url":"u","extension":[{}]},${extension} ],"b":1}`],
    ['{"b":{"extension":[{"url":"u"}]}}', `{"b":{"extension":[{"url":"u"}]},"extension":[${extension}]}`],
  ])('%s', (before, after) => expect(withExtension(before, extension)).toBe(after));

  it('refuses what is not an object', () => {
    for (const bad of ['[]', '1', '{"extension":{}}', '{"extension":1}', '{'])
      expect(() => withExtension(bad, extension)).toThrow(JsonTextError);
    expect(() => withExtension('{}', '[]')).toThrow(JsonTextError);
    expect(() => withExtension('{}', '{"a":1},{}')).toThrow(JsonTextError);
  });

  it('adds one item and changes nothing else', () => {
    const object = fc
      .dictionary(fc.constantFrom('a', 'b', 'id', 'extension'), fc.jsonValue())
      .map((o) => ('extension' in o ? { ...o, extension: [o['extension']] } : o));
    fc.assert(
      fc.property(
        object.filter((o) => !/\\u0000|__proto__|constructor|prototype/.test(JSON.stringify(o))),
        fc.nat(3),
        (o, indent) => {
          const result = JSON.parse(withExtension(JSON.stringify(o, null, indent), '{"url":"n"}'));
          const copy = JSON.parse(JSON.stringify(o));
          expect(result).toEqual({ ...copy, extension: [...(copy.extension ?? []), { url: 'n' }] });
        },
      ),
    );
  });
});
