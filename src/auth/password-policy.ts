import { ApiError } from '../common/errors';
import { normaliseIdentifier } from '../crypto/blind-index';
import { commonPasswords } from './common-passwords';

const MAX_LENGTH = 256;
/** Enough where a second factor has to be proved as well (SP 800-63B-4 section 3.1.1.2). */
const MIN_WITH_SECOND_FACTOR = 8;
/** What must be left of a password when the words that belong to its account are taken out. */
const MIN_OWN = 8;
const MIN_DIFFERENT = 5;
const PRODUCT = ['bjwt-ehr', 'bjwtehr'];
/** People put punctuation and spaces around a word, and digits. */
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
/** Short numbers are common by chance: a random one may begin with one. */
const LONG_NUMBER = 10;
const LETTER = /\p{L}/u;
const NOT_LETTERS = /\P{L}+/gu;

export interface PasswordContext {
  /** For a password that is the only factor. */
  readonly minLength: number;
  readonly hasSecondFactor: boolean;
  readonly username: string;
  /** Of the holder and the hospital. */
  readonly names: readonly string[];
}

/**
 * NIST SP 800-63B-4 section 3.1.1.2: length counts, composition does not; every character is allowed and none is cut off; common passwords, also
 * repeated, doubled or padded, and those made of the names of the account are refused. Length is counted in code points after NFKC.
 *
 * @throws ApiError `password_unacceptable`, with the path and the rule
 */
export async function checkPassword(password: string, context: PasswordContext, path = 'password'): Promise<void> {
  const message = faultOf(password.normalize('NFKC'), context, await commonPasswords());
  if (message !== null) throw new ApiError('password_unacceptable', message, { errors: [{ path, message }] });
}

function faultOf(password: string, context: PasswordContext, common: ReadonlySet<string>): string | null {
  const length = lengthOf(password);
  const minLength = context.hasSecondFactor ? MIN_WITH_SECOND_FACTOR : context.minLength;
  if (length < minLength) return `must have at least ${minLength} characters`;
  if (length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  const text = normaliseIdentifier(password);
  if (new Set(withoutRuns(text)).size < MIN_DIFFERENT)
    return `must have at least ${MIN_DIFFERENT} different characters that are no sequence`;
  if (isCommon(text, common)) return 'must not be a common password, also not doubled or with digits around it';
  const own = withoutWords(text, wordsOf(context));
  if (own !== text && lengthOf(between(own, LETTER)) < MIN_OWN) return 'must not be made of the user name, names or the hospital';
  return null;
}

/** From the first to the last character of this kind. */
function between(text: string, kind: RegExp): string {
  const points = [...text];
  const first = points.findIndex((point) => kind.test(point));
  return first < 0 ? '' : points.slice(first, points.findLastIndex((point) => kind.test(point)) + 1).join('');
}

function lengthOf(text: string): number {
  return [...text].length;
}

/** `aaaa`, `12345` and `zyx` count as one character. */
function withoutRuns(text: string): string[] {
  const points = [...text].map((letter) => letter.codePointAt(0) ?? 0);
  const stepAt = (index: number) => (points[index] ?? 0) - (points[index - 1] ?? 0);
  const continues = (index: number) => index > 1 && Math.abs(stepAt(index)) <= 1 && stepAt(index) === stepAt(index - 1);
  return [...text].filter((_letter, index) => !continues(index));
}

/** Whether it is one common password or two, whatever stands around or between them, and however often it is repeated. */
function isCommon(text: string, common: ReadonlySet<string>): boolean {
  const isWord = (part: string) => common.has(part) && (LETTER.test(part) || part.length >= LONG_NUMBER);
  const isNothing = (part: string) => common.has(part) || !LETTER.test(part);
  const isPair = (one: string, other: string) => (isWord(one) && isNothing(other)) || (isNothing(one) && isWord(other));
  const forms = [between(text, LETTER_OR_DIGIT), between(text, LETTER), text.replace(NOT_LETTERS, '')].map(unrepeated);
  return forms.some((form) => common.has(form) || Array.from(form).some((_letter, at) => isPair(form.slice(0, at), form.slice(at))));
}

/** `abcabcabc` is `abc`. */
function unrepeated(text: string): string {
  const period = (text + text).indexOf(text, 1);
  return period > 0 ? text.slice(0, period) : text;
}

/** Names whole and by their parts of at least four letters; also without what separates their parts. */
function wordsOf({ username, names }: PasswordContext): string[] {
  const whole = [...PRODUCT, username, ...names].map(normaliseIdentifier);
  const parts = whole.flatMap((name) => name.split(NOT_LETTERS)).filter((part) => lengthOf(part) >= 4);
  const joined = whole.map((name) => name.replace(NOT_LETTERS, ''));
  return [...whole, ...parts, ...joined].filter((word) => lengthOf(word) >= 3).sort((a, b) => b.length - a.length);
}

function withoutWords(text: string, words: readonly string[]): string {
  return words.reduce((rest, word) => rest.replaceAll(word, ''), text);
}
