import { ApiError } from '../common/errors';

/** How long ago the holder may have proved who it is for an act that a stolen or forgotten token must not do (SEC-45), seconds. */
const RECENT_SECONDS = 300;

export function isRecent(authTime: number, now: number): boolean {
  return now - authTime <= RECENT_SECONDS * 1000;
}

/** Asks the holder to prove it again and to come with the new token: the challenge of RFC 9470. */
export function staleSignIn(): ApiError {
  const challenge = `Bearer error="insufficient_user_authentication", error_description="Sign in again", max_age="${RECENT_SECONDS}"`;
  return new ApiError('insufficient_user_authentication', undefined, { headers: { 'www-authenticate': challenge } });
}
