import { generateSecret, generateURI, verifySync } from 'otplib';

const PERIOD = 30;
const ISSUER = 'BJWT-EHR';

/** A seed of 160 bits, base32 (RFC 4226 section 4). */
export function newSeed(): string {
  return generateSecret({ length: 20 });
}

/** The seed as authenticator apps read it from a QR code. */
export function seedUri(seed: string, username: string): string {
  return generateURI({ issuer: ISSUER, label: username, secret: seed });
}

/**
 * The time step of a six-digit code (RFC 6238, SHA-1, steps of 30 s); null when it is wrong or its step was used. Clocks may differ by one step.
 * @param after the last step that was used
 */
export function stepOfCode(seed: string, code: string, nowMs: number, after: number): number | null {
  const epoch = Math.floor(nowMs / 1000);
  const result = verifySync({ secret: seed, token: code, epoch, period: PERIOD, epochTolerance: PERIOD });
  return result.valid && 'timeStep' in result && result.timeStep > after ? result.timeStep : null;
}
