import { cpuNow } from '../../test/support/cpu-time';
import { fitsNameQuery, nameWords, readNameQuery } from './name-words';

test.each([
  ['Ayşe DEMİR', ['ayse', 'demir']],
  ['Işıl Ağaoğlu', ['isil', 'agaoglu']],
  ['IŞIL', ['isil']],
  ['Groß GROẞ', ['gross']],
  ['Søren Ærø', ['soren', 'aero']],
  ['Łukasz Dąbrowski', ['lukasz', 'dabrowski']],
  ['Þór Đặng', ['thor', 'dang']],
  ["Sinéad O'Brien", ['sinead', 'obrien']],
  ['Jean-Pierre  Müller', ['jean', 'pierre', 'muller']],
  ['ΣΊΣΥΦΟΣ Σίσυφος', ['σισυφος']],
  ['李博', ['李博']],
  ['ＡＢＣ', ['abc']],
  ['Anna Anna', ['anna']],
  ['— ?!', []],
])('the words of %s', (name, words) => {
  expect(nameWords(name)).toEqual(words);
});

test('composed and decomposed letters are one word', () => {
  expect(nameWords('Ayşe'.normalize('NFC'))).toEqual(nameWords('Ayşe'.normalize('NFD')));
});

test.each([
  ['Demir', { words: ['demir'], year: null }],
  ['1984 demir AYŞE', { words: ['demir', 'ayse'], year: '1984' }],
  ['Henri 4', { words: ['henri', '4'], year: null }],
  ['1984', null],
  ['10000000146', null],
  ['  ', null],
])('the query %s', (text, query) => {
  expect(readNameQuery(text)).toEqual(query);
});

test('a query fits when the name has all its words, whole, and the year is that of the birth', () => {
  const fits = (query: string, name = 'Ayşe Nur Demir', day = '1984-02-29') => {
    const read = readNameQuery(query);
    return read !== null && fitsNameQuery(read, name, day);
  };
  expect(['demir', 'Demir Ayse', 'nur demir 1984'].map((query) => fits(query))).toEqual([true, true, true]);
  expect(['demi', 'demirel', 'ayse kaya', 'demir 1985', 'demir 02'].map((query) => fits(query))).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});

test('SEC-73 a long text without a word costs nothing', () => {
  const start = cpuNow();
  for (const text of ['-'.repeat(50_000), "a'".repeat(25_000), 'é'.repeat(50_000), ' 1984'.repeat(10_000)]) nameWords(text);
  expect(cpuNow() - start).toBeLessThan(500);
});
