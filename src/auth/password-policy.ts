import { ApiError } from '../common/errors';

const MAX_LENGTH = 256;

/**
 * NIST SP 800-63B-4 section 3.1.1.2: length counts, composition does not; every character is allowed and none is cut off; words that belong to
 * the account are refused. Length is counted in code points after NFKC.
 */
export function checkPassword(password: string, context: { minLength: number; username: string }): void {
  const normalised = password.normalize('NFKC');
  const length = [...normalised].length;
  const refuse = (message: string) => new ApiError('password_unacceptable', message, { errors: [{ path: 'password', message }] });
  if (length < context.minLength) throw refuse(`must have at least ${context.minLength} characters`);
  if (length > MAX_LENGTH) throw refuse(`must have at most ${MAX_LENGTH} characters`);
  if (new Set(normalised).size < 5) throw refuse('must have at least 5 different characters');
  const username = context.username.normalize('NFKC').toLowerCase();
  if (username.length >= 3 && normalised.toLowerCase().includes(username)) throw refuse('must not contain the user name');
}
