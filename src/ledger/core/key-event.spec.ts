import { testAuthor } from '../../../test/reference/chain-maker';
import { FormatError, sha256 } from './bytes';
import { type KeyEvent, keyEventBody, keyEventHash, parseKeyEvent } from './key-event';

const author = testAuthor('doctor');
const account = '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0';
const iss = 'ledger.hospital-a.example/ehr1';
const about = { iss, kid: author.kid, account, at: 1_760_000_000_123 };
const registered: KeyEvent = { event: 'register', ...about, x: author.jwk.x, custody: 'client' };
const revoked: KeyEvent = { event: 'revoke', ...about, reason: 'compromised' };
/** Written by hand from the format. */
const registerText = `{"schema":"bjwt.key-event/1","event":"register","iss":"${iss}","kid":"${author.kid}","x":"${author.jwk.x}","custody":"client","account":"${account}","at":1760000000123}`;
const revokeText = `{"schema":"bjwt.key-event/1","event":"revoke","iss":"${iss}","kid":"${author.kid}","reason":"compromised","account":"${account}","at":1760000000123}`;

const fieldOf = (body: string): string => {
  try {
    parseKeyEvent(body);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.field;
  }
};

describe('key events', () => {
  it.each([
    ['register', registered, registerText],
    ['revoke', revoked, revokeText],
  ])('%s is exactly this text, and reads back', (_, event, text) => {
    expect(keyEventBody(event)).toBe(text);
    expect(parseKeyEvent(text)).toEqual(event);
    expect(keyEventHash(text)).toEqual(sha256(Buffer.from(text, 'utf8')));
  });

  it.each<[string, string, string]>([
    ['white space', registerText.replace('{"', '{ "'), 'keyEvent'],
    ['another order', revokeText.replace(/"iss":"[^"]*",(.*)\}/, `$1,"iss":"${iss}"}`), 'keyEvent'],
    ['a further member', revokeText.replace('}', ',"x":1}'), 'keyEvent'],
    ['a duplicate member', revokeText.replace('"reason"', '"at":1,"reason"'), 'keyEvent'],
    ['another spelling of a number', revokeText.replace('1760000000123', '1760000000123.0'), 'keyEvent'],
    ['a negative zero', revokeText.replace('1760000000123', '-0'), 'keyEvent.at'],
    ['an escape', revokeText.replace('compromised', 'compromise\\u0064'), 'keyEvent'],
    ['no JSON', revokeText.slice(1), 'keyEvent'],
    ['no object', 'null', 'keyEvent'],
    ['too long', ' '.repeat(1025), 'keyEvent'],
    ['another schema', registerText.replace('/1"', '/2"'), 'keyEvent.schema'],
    ['another event', revokeText.replace('revoke', 'restore'), 'keyEvent.event'],
    ['no origin', registerText.replace(iss, 'a+b'), 'keyEvent.iss'],
    ['an account in upper case', revokeText.replace(account, account.toUpperCase()), 'keyEvent.account'],
    ['a time that is no integer', revokeText.replace('1760000000123', '1.5'), 'keyEvent.at'],
    ['a time before 1970', revokeText.replace('1760000000123', '-1'), 'keyEvent.at'],
    ['another custody', registerText.replace('client', 'nobody'), 'keyEvent.custody'],
    ['another reason', revokeText.replace('compromised', 'boredom'), 'keyEvent.reason'],
    ['a kid that is not that of x', registerText.replace(author.kid, testAuthor('other').kid), 'keyEvent.kid'],
    ['a short kid', revokeText.replace(author.kid, 'AAAA'), 'keyEvent.kid'],
    ['an x with padding', registerText.replace(author.jwk.x, `${author.jwk.x}=`), 'keyEvent.x'],
  ])('%s is refused', (_, text, field) => {
    expect(text).not.toBe(registerText);
    expect(text).not.toBe(revokeText);
    expect(fieldOf(text)).toBe(field);
  });

  it('does not write what it would refuse to read', () => {
    for (const wrong of [{ account: 'x' }, { at: NaN }, { kid: testAuthor('other').kid }, { iss: '' }])
      expect(() => keyEventBody({ ...registered, ...wrong })).toThrow(FormatError);
  });
});
