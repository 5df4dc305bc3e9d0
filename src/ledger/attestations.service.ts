import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { type EntityManager, LessThanOrEqual } from 'typeorm';
import type { Grant } from '../access/access.service';
import { Clock } from '../common/clock';
import { ApiError } from '../common/errors';
import { KeyRing } from '../crypto/key-ring.service';
import { insertRow, selectRows } from '../database/rows';
import { AuthorKeysService } from './author-keys.service';
import {
  type AttestationClaims,
  attestationInput,
  type ParsedAttestation,
  parseAttestation,
  signAttestation,
  signatureFits,
} from './core/attestation';
import { isNear } from './core/block';
import { b64u, b64uDecode, FormatError } from './core/bytes';
import { contentCommit, opening } from './core/content';
import { BlockKind, genesisHash, ledgerId } from './core/header';
import { authorKey } from './core/jwk';
import { type AuthorKeyEntity, BlockEntity, type ChainEntity, PreparationEntity } from './ledger.entity';
import type { SealInput } from './ledger.service';

/** Where the block will stand, and when. */
export interface NextBlock {
  readonly origin: string;
  readonly head: ChainEntity;
  /** Milliseconds since the epoch. */
  readonly sealedAt: number;
}

/** A payload under its record's key, and its author's word for it. */
export interface Attested {
  readonly recordKey: Buffer;
  readonly contentCommit: Buffer;
  /** Compact JWS. */
  readonly attestation: string;
  /** Thumbprint of the author's key: the 32 bytes. */
  readonly authorKeyId: Buffer;
}

/** What an author signs who holds the own key. Whoever signs should check that `claims.cmt` is the commitment of `opening` to `payload`. */
export interface ToBeSigned {
  readonly recordId: string;
  readonly payload: Buffer;
  /** 32 bytes: opens the commitment, decrypts nothing. */
  readonly opening: Buffer;
  readonly claims: AttestationClaims;
  /** ASCII; Ed25519 over it, as base64url after a dot, completes the JWS. */
  readonly signingInput: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const PREPARED_MS = 10 * 60_000;

/** The author's signature over a block: made here with a key in the server's custody, or by the author's client and checked here. */
@Injectable()
export class AttestationsService {
  constructor(
    private readonly authorKeys: AuthorKeysService,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
  ) {}

  /** The attestation of what is to be sealed. @throws ApiError `client_signature_required`, or as {@link checked} */
  async of(tx: EntityManager, grant: Grant, input: SealInput, next: NextBlock): Promise<Attested> {
    if (input.attestation !== undefined) return this.checked(tx, grant, input, input.attestation, next);
    const { kid, privateKey } = await this.authorKeys.of(tx, grant.actor, grant.hospitalId);
    const recordKey = randomBytes(32);
    const commit = contentCommit(opening(recordKey), input.payload);
    const attestation = signAttestation(claimsOf(input, commit, next), privateKey, kid);
    return { recordKey, contentCommit: commit, attestation, authorKeyId: b64uDecode(kid, 'kid', 32) };
  }

  /** Begins what {@link of} completes with the client's signature. Asked again, the earlier preparation is void. */
  async prepare(tx: EntityManager, grant: Grant, input: SealInput, next: NextBlock): Promise<ToBeSigned> {
    const key = await this.clientKey(tx, grant);
    const now = this.clock.now();
    const repository = tx.getRepository(PreparationEntity);
    await repository.delete({ expiresAt: LessThanOrEqual(now) });
    await repository.delete({ recordId: input.recordId });
    const recordKey = randomBytes(32);
    const open = opening(recordKey);
    const commit = contentCommit(open, input.payload);
    const vault = await this.keyRing.vault(tx, grant.subject);
    const { recordId, version, payload } = input;
    const expiresAt = now + PREPARED_MS;
    await insertRow(tx, PreparationEntity, {
      recordId,
      version,
      patientId: grant.patientId,
      accountId: grant.actor.id,
      recordKey: vault.seal('preparation.record_key', recordId, recordKey),
      contentCommit: commit,
      expiresAt,
    });
    const claims = claimsOf(input, commit, next);
    return { recordId, payload, opening: open, claims, signingInput: attestationInput(claims, key.kid), expiresAt };
  }

  /**
   * Holds a client's signature against what is to be sealed, so that no block is made which a verifier would refuse.
   * @throws ApiError `conflict` when nothing was prepared or its time is over, `version_stale` when what was shown has changed, `invalid_attestation`
   *   with the parts at fault
   */
  private async checked(tx: EntityManager, grant: Grant, input: SealInput, jws: string, next: NextBlock): Promise<Attested> {
    const key = await this.clientKey(tx, grant);
    const [prepared] = await selectRows(tx, PreparationEntity, 'recordId', [input.recordId]);
    const own = prepared?.accountId === grant.actor.id && prepared.patientId === grant.patientId;
    if (!prepared || !own || prepared.expiresAt <= this.clock.now())
      throw new ApiError('conflict', 'Nothing is prepared for this signature, or its time is over: ask for the attestation again');
    const vault = await this.keyRing.vault(tx, grant.subject);
    const recordKey = vault.openBytes('preparation.record_key', input.recordId, prepared.recordKey);
    const commit = contentCommit(opening(recordKey), input.payload);
    if (prepared.version !== input.version || !prepared.contentCommit.equals(commit)) throw new ApiError('version_stale');
    const parsed = parsedOrRefused(jws);
    const wrong = misfits(parsed.claims, claimsOf(input, commit, next), next.sealedAt);
    if (!(await this.isBelow(tx, next, parsed.claims.seen))) wrong.push('seen');
    if (parsed.kid !== key.kid) wrong.push('kid');
    else if (!signatureFits(parsed, authorKey({ kty: 'OKP', crv: 'Ed25519', x: key.x }))) wrong.push('signature');
    if (wrong.length > 0) throw refused(wrong.map((part) => `attestation.${part}`));
    if (!(await this.authorKeys.useIn(tx, key.kid, grant.hospitalId))) await this.authorKeys.register(tx, grant.hospitalId, key);
    await tx.getRepository(PreparationEntity).delete({ recordId: input.recordId });
    return { recordKey, contentCommit: commit, attestation: jws, authorKeyId: b64uDecode(key.kid, 'kid', 32) };
  }

  private async clientKey(tx: EntityManager, grant: Grant): Promise<AuthorKeyEntity> {
    const { active } = await this.authorKeys.keysOf(tx, grant.actor.id);
    if (active?.custody !== 'client') throw new ApiError('conflict', 'This account has no key of its own: register one first');
    return active;
  }

  /** Whether `seen` names a block of the chain at or below its head, or the empty chain. */
  private async isBelow(tx: EntityManager, { head, origin }: NextBlock, { h, b }: AttestationClaims['seen']): Promise<boolean> {
    if (h === -1) return b === b64u(genesisHash(ledgerId(origin), head.chainId));
    if (h > head.height) return false;
    const block = await tx.getRepository(BlockEntity).findOneBy({ chainId: head.chainId, height: h });
    return block !== null && b64u(block.blockHash) === b;
  }
}

function claimsOf(input: SealInput, commit: Buffer, { origin, head, sealedAt }: NextBlock): AttestationClaims {
  return {
    iss: origin,
    sub: b64u(head.chainId),
    jti: input.recordId,
    ver: input.version,
    knd: BlockKind[input.kind],
    iat: Math.floor(sealedAt / 1000),
    cmt: b64u(commit),
    seen: { h: head.height, b: b64u(head.headHash) },
  };
}

/** The claims that are not about this block. */
function misfits(claims: AttestationClaims, expected: AttestationClaims, sealedAt: number): string[] {
  const same = (['iss', 'sub', 'jti', 'ver', 'knd', 'cmt'] as const).filter((name) => claims[name] !== expected[name]);
  return isNear(claims.iat, sealedAt) ? [...same] : [...same, 'iat'];
}

/**
 * What a client's signature is about, by its own word: where `prepare` has given the id. Nothing is verified yet.
 * @throws ApiError `invalid_attestation`
 */
export function recordIdIn(attestation: string): string {
  return parsedOrRefused(attestation).claims.jti;
}

function parsedOrRefused(jws: string): ParsedAttestation {
  try {
    return parseAttestation(jws);
  } catch (error) {
    if (error instanceof FormatError) throw refused([error.field]);
    throw error;
  }
}

function refused(paths: readonly string[]): ApiError {
  return new ApiError('invalid_attestation', undefined, {
    errors: paths.map((path) => ({ path, message: 'does not fit what is to be sealed' })),
  });
}
