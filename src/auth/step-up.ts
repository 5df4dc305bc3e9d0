import type { Actor } from '../common/actor';
import { ApiError } from '../common/errors';

/** How long ago the holder may have proved the password for an act that cannot be undone, seconds. */
export const RECENT_SECONDS = 300;

/**
 * A stolen or forgotten token is not enough for such an act (SEC-45): the holder signs in again and comes with the new token.
 * @throws ApiError `insufficient_user_authentication`, with the challenge of RFC 9470
 */
export function requireRecentSignIn(actor: Actor, now: number): void {
  if (now - actor.authTime <= RECENT_SECONDS * 1000) return;
  const challenge = `Bearer error="insufficient_user_authentication", error_description="Sign in again", max_age="${RECENT_SECONDS}"`;
  throw new ApiError('insufficient_user_authentication', undefined, { headers: { 'www-authenticate': challenge } });
}
