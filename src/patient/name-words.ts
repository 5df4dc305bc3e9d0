import { foldCase } from '../common/fold-case';

/** Letters that Unicode does not decompose, as those write them who have no key for them. */
const PLAIN: Readonly<Record<string, string>> = { æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', ł: 'l', þ: 'th', ħ: 'h', ŋ: 'n', ŧ: 't' };
const YEAR = /^(?:18|19|20)\d\d$/;

/** What is looked for: words, all of which the name has, and a year of birth. */
export interface NameQuery {
  readonly words: readonly string[];
  readonly year: string | null;
}

/**
 * The words of a name as people look for them: case, accents and the Turkish dots are gone ('ß' is 'ss'), an apostrophe
 * joins, everything else that is neither letter nor digit separates. Each word once, in the order of the name.
 */
export function nameWords(name: string): string[] {
  const plain = foldCase(name.normalize('NFKD'))
    .normalize('NFKD')
    .replace(/[\p{M}'’ʼ`]/gu, '')
    .replace(/[æœøđðłþħŋŧ]/g, (letter) => PLAIN[letter] ?? letter);
  return [...new Set(plain.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== ''))];
}

/** Null when there is no word of a name in it: a year alone would name thousands. */
export function readNameQuery(text: string): NameQuery | null {
  const all = nameWords(text);
  const year = all.find((word) => YEAR.test(word)) ?? null;
  const words = all.filter((word) => word !== year);
  return words.some((word) => /\p{L}/u.test(word)) ? { words, year } : null;
}

/** Whether somebody of this name, born on this day (YYYY-MM-DD), is meant. */
export function fitsNameQuery({ words, year }: NameQuery, name: string, birthDate: string): boolean {
  const own = new Set(nameWords(name));
  return words.every((word) => own.has(word)) && (year === null || birthDate.startsWith(`${year}-`));
}
