import { createHmac } from 'node:crypto';
import type { Answer } from './api-client';
import type { SoftKey } from './soft-key';
import type { TestApp } from './test-app';
import { login, PASSWORD, type Person } from './world';

const STEP_MS = 30_000;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The code of an authenticator app (RFC 6238: SHA-1, six digits, steps of 30 s), made without the server's library. */
export function totpAt(seed: string, ms: number): string {
  const bits = [...seed].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(ms / STEP_MS)));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE((mac[19] ?? 0) & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export interface MfaQuestion {
  mfaToken: string;
  expiresIn: number;
  factors: string[];
  webauthn?: { challenge: string; rpId: string; userVerification: string; allowCredentials: { id: string; type: string }[] };
}
export interface Tokens {
  accessToken: string;
  refreshToken: string;
  deviceToken: string;
}

/** Adds a code app. The step of the code that confirms it is the one before now's, so that now's is still good. */
export async function addTotp(app: TestApp, person: Person): Promise<Person & { seed: string }> {
  const { body } = await person.api.post<{ secret: string }>('/auth/factors/totp');
  const code = totpAt(body.secret, app.clock.now() - STEP_MS);
  const confirmed = await person.api.post('/auth/factors/totp/confirmation', { code });
  if (confirmed.status !== 200) throw new Error(`confirmation: ${confirmed.text}`);
  return { ...person, seed: body.secret };
}

export async function addKey(person: Person, key: SoftKey): Promise<Answer<{ id: string }>> {
  const options = await person.api.post<{ challenge: string }>('/auth/factors/webauthn/options');
  return person.api.post<{ id: string }>('/auth/factors/webauthn', key.create(options.body.challenge));
}

/** Proves the password of somebody who has a second factor. */
export async function askedFor(app: TestApp, person: Pick<Person, 'username'>): Promise<MfaQuestion> {
  return (await app.anonymous.post<MfaQuestion>('/auth/login', { username: person.username, password: PASSWORD })).body;
}

export function prove(app: TestApp, mfaToken: string, factor: object): Promise<Answer<Tokens>> {
  return app.anonymous.post<Tokens>('/auth/login/second-factor', { mfaToken, ...factor });
}

/** The same person, signed in anew. */
export async function again(app: TestApp, person: Person): Promise<Person> {
  if (person.seed === undefined) return login(app, person.id, person.username, person.password);
  const { mfaToken } = await askedFor(app, person);
  const { body } = await prove(app, mfaToken, { totp: totpAt(person.seed, app.clock.now()) });
  return signedIn(app, person, body);
}

export function signedIn(app: TestApp, person: Person, tokens: Tokens): Person {
  return { ...person, api: app.anonymous.withToken(tokens.accessToken), refreshToken: tokens.refreshToken };
}

/** What an access token says, unchecked. */
export function claimsOf(token: string | null): Record<string, unknown> {
  return JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
