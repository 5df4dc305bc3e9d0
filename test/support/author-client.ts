import { sign } from 'node:crypto';
import { signKeyProof } from '../../src/ledger/core/key-proof';
import { type TestAuthor, testAuthor } from '../reference/chain-maker';
import type { Answer } from './api-client';
import type { Person } from './world';

export interface KeyView {
  kid: string;
  custody: string;
  accountId: string;
  hospitalId: string;
  revokedAt: string | null;
  events: { event: string; reason: string | null; body: string; leafIndex: number | null }[];
}

/** What a doctor's client is given to sign. */
export interface Prepared {
  recordId: string;
  payload: string;
  opening: string;
  claims: { iss: string; sub: string; jti: string; ver: number; knd: number; iat: number; cmt: string; seen: { h: number; b: string } };
  signingInput: string;
  expiresAt: string;
}

/** Name of a hospital's ledger. */
export async function originOf(hospital: Person): Promise<string> {
  return (await hospital.api.get<{ ledgerOrigin: string }>(`/hospitals/${hospital.id}`)).body.ledgerOrigin;
}

/** Body of the registration of a key that its holder keeps. */
export async function keyRegistration(
  hospital: Person,
  accountId: string,
  key: TestAuthor,
  more: { iss?: string; iat?: number } = {},
): Promise<{ jwk: object; proof: string }> {
  const claims = { iss: await originOf(hospital), sub: accountId, iat: Math.floor(Date.now() / 1000), ...more };
  return { jwk: key.jwk, proof: signKeyProof(claims, key.jwk, key.privateKey) };
}

/** Signs what was given to sign, as a client does that knows nothing but RFC 7515. */
export function signed({ signingInput }: Pick<Prepared, 'signingInput'>, key: TestAuthor): string {
  return `${signingInput}.${sign(null, Buffer.from(signingInput, 'ascii'), key.privateKey).toString('base64url')}`;
}

/** A doctor whose own client keeps the key. */
export class AuthorClient {
  constructor(
    readonly doctor: Person,
    readonly hospital: Person,
    readonly key: TestAuthor,
  ) {}

  static async register(doctor: Person, hospital: Person, name: string): Promise<AuthorClient> {
    const client = new AuthorClient(doctor, hospital, testAuthor(name));
    const answer = await client.registered();
    if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${answer.text}`);
    return client;
  }

  async registered(): Promise<Answer<KeyView>> {
    return this.doctor.api.post<KeyView>('/ledger/keys', await keyRegistration(this.hospital, this.doctor.id, this.key));
  }

  async prepare(record: string): Promise<Prepared> {
    const answer = await this.doctor.api.post<Prepared>(`/records/${record}/attestation`);
    if (answer.status !== 201) throw new Error(`attestation: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  submit(record: string, attestation: string): Promise<Answer<{ code: string; height: number; errors?: { path: string }[] }>> {
    return this.doctor.api.post(`/records/${record}/seal`, { attestation });
  }

  async seal(record: string): Promise<Answer<{ code: string; height: number; errors?: { path: string }[] }>> {
    return this.submit(record, signed(await this.prepare(record), this.key));
  }
}
