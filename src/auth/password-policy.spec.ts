import type { ApiError } from '../common/errors';
import { commonPasswords } from './common-passwords';
import { checkPassword, type PasswordContext } from './password-policy';

const alone: PasswordContext = { minLength: 15, hasSecondFactor: false, username: 'dr.ada', names: ['Dr. Ada Yılmaz', 'City Hospital'] };
const faultOf = async (password: string, context: Partial<PasswordContext> = {}, path?: string) =>
  checkPassword(password, { ...alone, ...context }, path).then(
    () => null,
    (error: ApiError) => ({ code: error.code, errors: error.extra.errors }),
  );
const messageOf = async (password: string, context?: Partial<PasswordContext>) => (await faultOf(password, context))?.errors?.[0]?.message;

describe('SEC-27 length, not composition', () => {
  const words = 'violet kettle walks north by a river of ';
  test.each([14, 15, 128, 256, 257])('%d characters', async (length) => {
    const allowed = length >= 15 && length <= 256;
    expect((await faultOf(words.repeat(7).slice(0, length))) === null).toBe(allowed);
  });

  test.each([
    ['spaces and lower case only', 'violet kettle walks north'],
    ['digits that are no sequence', '902847561038572'],
    ['another script', 'bakşam rüzgârı çok güzel'],
    ['emoji, each one character', '🦊🍋🚲🌙🎻🦊🍋🚲🌙🎻🧊🦊🍋🪁🌵'],
    ['leading and trailing spaces', '   quiet lamps in snow   '],
    ['four common words', 'correcthorsebatterystaple'],
  ])('%s', async (_name, password) => expect(await faultOf(password)).toBeNull());

  test('14 emoji are 14 characters, not 28', async () =>
    expect(await messageOf('🦊🍋🚲🌙🎻🦊🍋🚲🌙🎻🧊🦊🍋🪁')).toBe('must have at least 15 characters'));

  test('length is counted after NFKC: a ligature is two letters', async () => {
    expect(await faultOf('ﬁnding quiet ox')).toBeNull();
    expect(await messageOf('finding quiet')).toBe('must have at least 15 characters');
  });

  test('with a second factor eight are enough, and the other rules hold', async () => {
    expect(await faultOf('9ttle.kx', { hasSecondFactor: true })).toBeNull();
    expect(await messageOf('kettle9', { hasSecondFactor: true })).toBe('must have at least 8 characters');
    expect(await messageOf('password1', { hasSecondFactor: true })).toContain('common password');
  });

  test('the answer names the element and the rule', async () =>
    expect(await faultOf('short', {}, 'newPassword')).toEqual({
      code: 'password_unacceptable',
      errors: [{ path: 'newPassword', message: 'must have at least 15 characters' }],
    }));
});

describe('SEC-28 common passwords and words of the account', () => {
  test('every common password of legal length is refused, in any case, alone or padded', async () => {
    const long = [...(await commonPasswords())].filter((word) => [...word].length >= 15);
    expect(long.length).toBeGreaterThan(20);
    for (const word of long)
      for (const variant of [word, word.toUpperCase(), `${word}2026`, `!! ${word} !!`])
        expect([variant, await faultOf(variant)]).toEqual([variant, expect.objectContaining({ code: 'password_unacceptable' })]);
  });

  test('every 97th shorter one is refused when digits or itself make it long enough', async () => {
    const short = [...(await commonPasswords())].filter((word, index) => index % 97 === 0 && /^\p{L}{4,14}$/u.test(word));
    expect(short.length).toBeGreaterThan(100);
    for (const word of short)
      for (const variant of [`${word}20262026202620`, word.repeat(4), `2026 ${word} 20262026`, `${word}-${word}-${word}-${word}`])
        expect([variant, await faultOf(variant)]).toEqual([variant, expect.objectContaining({ code: 'password_unacceptable' })]);
  });

  test.each([
    ['two common words', 'qwertyuiopasdfgh'],
    ['a common keyboard walk, twice', '1qaz2wsx1qaz2wsx'],
    ['the fullwidth form', 'ｐａｓｓｗｏｒｄ１２３４５６７'],
  ])('%s', async (_name, password) => expect(await messageOf(password)).toContain('common password'));

  test.each(['123456789012345', 'aaaaaaaaaaaaaaaa', 'abcdefghijklmnop', '987654321098765432', 'ababababababababab'])(
    '%s is too simple',
    async (password) => expect(await faultOf(password)).not.toBeNull(),
  );

  test.each([
    'dr.ada2026dr.ada2026',
    'DR.ADA 2026 2027 2028',
    'drada-drada-drada-2026',
    'YILMAZ.1984.1984.1984',
    'yılmaz yılmaz yılmaz',
    'City Hospital 2026!',
    'hospital-city-2026',
    'bjwt-ehr-2026-ehr-bjwt',
    'cityhospital12345',
  ])('%s is made of names', async (password) => expect(await messageOf(password)).toMatch(/user name|common/));

  test('a sentence in which a name occurs is no name', async () =>
    expect(await faultOf('the city hospital is north of my river')).toBeNull());
});
