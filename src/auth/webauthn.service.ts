import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config';
import type { AddKeyDto, AssertionDto, KeyCreationOptions, KeyReference, KeyRequestOptions } from './factor.dto';

/** COSE: ES256, EdDSA, RS256, in the order of preference. */
const ALGORITHMS = [-7, -8, -257];
const RP_NAME = 'BJWT-EHR';
const USER_VERIFICATION = 'required';

/** A key as it was registered. */
export interface RegisteredKey {
  readonly credentialId: Buffer;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly counter: number;
}

/** The two ceremonies of WebAuthn Level 3 (sections 7.1, 7.2), with site, origins and user verification pinned. */
@Injectable()
export class WebauthnService {
  private readonly rpId: string;
  private readonly origins: string[];

  constructor(@Inject(CONFIG) { login }: Config) {
    ({ rpId: this.rpId, origins: this.origins } = login.webauthn);
  }

  creation(challenge: Buffer, user: { id: string; name: string }, existing: readonly Buffer[], timeout: number): KeyCreationOptions {
    return {
      challenge: challenge.toString('base64url'),
      rp: { id: this.rpId, name: RP_NAME },
      user: { id: Buffer.from(user.id).toString('base64url'), name: user.name, displayName: user.name },
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
      timeout,
      excludeCredentials: existing.map(reference),
      authenticatorSelection: { residentKey: 'preferred', userVerification: USER_VERIFICATION },
      attestation: 'none', // which model it is does not matter here, and tells more about its holder than is needed
    };
  }

  request(challenge: Buffer, keys: readonly Buffer[], timeout: number): KeyRequestOptions {
    return {
      challenge: challenge.toString('base64url'),
      rpId: this.rpId,
      timeout,
      userVerification: USER_VERIFICATION,
      allowCredentials: keys.map(reference),
    };
  }

  /** The key that was made for this challenge; null when anything is off. */
  async register(challenge: Buffer, { id, clientDataJSON, attestationObject }: AddKeyDto): Promise<RegisteredKey | null> {
    const { verifyRegistrationResponse, decodeAttestationObject } = await library();
    try {
      // Certificates of makers were not asked for. The library would follow the addresses in them: a way to let the server call others.
      const statement = decodeAttestationObject(new Uint8Array(Buffer.from(attestationObject, 'base64url'))).get('attStmt');
      if (statement.get('x5c') !== undefined) return null;
      const { registrationInfo } = await verifyRegistrationResponse({
        response: { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response: { clientDataJSON, attestationObject } },
        ...this.expected(challenge),
        supportedAlgorithmIDs: ALGORITHMS,
      });
      if (!registrationInfo || registrationInfo.credential.id !== id) return null;
      const { publicKey, counter } = registrationInfo.credential;
      return { credentialId: Buffer.from(id, 'base64url'), publicKey, counter };
    } catch {
      return null; // the library throws for each check that fails
    }
  }

  /** The key's new signature counter, when it signed this challenge; null when anything is off, also a counter that went back (a copied key). */
  async assert(challenge: Buffer, key: RegisteredKey, dto: AssertionDto): Promise<number | null> {
    const { id, clientDataJSON, authenticatorData, signature } = dto;
    const { verifyAuthenticationResponse } = await library();
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response: {
          id,
          rawId: id,
          type: 'public-key',
          clientExtensionResults: {},
          response: { clientDataJSON, authenticatorData, signature },
        },
        ...this.expected(challenge),
        credential: { id, publicKey: key.publicKey, counter: key.counter },
      });
      return verified ? authenticationInfo.newCounter : null;
    } catch {
      return null;
    }
  }

  private expected(challenge: Buffer) {
    return {
      expectedChallenge: challenge.toString('base64url'),
      expectedOrigin: this.origins,
      expectedRPID: this.rpId,
      requireUserVerification: true,
    };
  }
}

function reference(credentialId: Buffer): KeyReference {
  return { id: credentialId.toString('base64url'), type: 'public-key' };
}

/** Loaded when the first security key is used, not at the start: its readers of certificates are many. */
async function library() {
  const [server, { decodeAttestationObject }] = await Promise.all([
    import('@simplewebauthn/server'),
    import('@simplewebauthn/server/helpers'),
  ]);
  return { ...server, decodeAttestationObject };
}
