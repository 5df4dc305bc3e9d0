import { foldCase } from './fold-case';

const scalars = function* () {
  for (let code = 0; code <= 0x10ffff; code++) if (code < 0xd800 || code > 0xdfff) yield String.fromCodePoint(code);
};

test.each(['NFKC', 'NFKD'])('no letter of Unicode depends on the case it was typed in (%s)', (form) => {
  const folded = (value: string) => foldCase(value.normalize(form)).normalize(form);
  const broken: string[] = [];
  for (const letter of scalars()) {
    const expected = folded(letter);
    const typed = [letter.toLowerCase(), letter.toUpperCase(), expected];
    if (typed.some((other) => folded(other) !== expected)) broken.push(letter);
  }
  expect(broken).toEqual([]);
});

test.each([
  ['ẞ', 'ß'],
  ['STRAẞE', 'strasse'],
  ['ΟΔΟΣ', 'οδος'],
  ['İ', 'i̇'],
])('%s is %s', (a, b) => {
  expect(foldCase(a)).toBe(foldCase(b));
});
