import { createHash, createPrivateKey, createPublicKey, KeyObject } from 'node:crypto';
import { signAttestation } from '../../src/ledger/core/attestation';
import { b64u, sha256, ZERO_HASH } from '../../src/ledger/core/bytes';
import { StoredBlock } from '../../src/ledger/core/chain';
import { contentCommit, encryptContent, opening } from '../../src/ledger/core/content';
import { blockHash, BlockHeader, BlockKind, BlockKindName, encodeHeader, genesisHash, ledgerId } from '../../src/ledger/core/header';
import { PublicJwk, thumbprint } from '../../src/ledger/core/jwk';

export interface TestAuthor {
  readonly privateKey: KeyObject;
  readonly jwk: PublicJwk;
  readonly kid: string;
}

/** 32 bytes that depend on a name only: tests are the same on every run. */
export const bytesOf = (name: string): Buffer => createHash('sha256').update(name).digest();

/** An Ed25519 author whose seed comes from the name. */
export function testAuthor(name: string): TestAuthor {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytesOf(name)]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const jwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: String(x) };
  return { privateKey, jwk, kid: b64u(thumbprint(jwk)) };
}

export const testRecordId = (height: number): string => `00000000-0000-4000-8000-${height.toString(16).padStart(12, '0')}`;

export interface BlockPlan {
  readonly kind?: BlockKindName;
  readonly payload?: Buffer | null;
  readonly refHash?: Buffer;
  readonly author?: TestAuthor | null;
  /** Height of the block that the author saw; the previous one by default. */
  readonly saw?: number;
  /** Time of signing by the author's clock, seconds. */
  readonly iat?: number;
  readonly header?: Partial<BlockHeader>;
}

/** Seals blocks the way the specification says, in memory. */
export class ChainMaker {
  readonly ledgerId: Buffer;
  readonly blocks: StoredBlock[] = [];

  constructor(
    readonly origin = 'ledger.hospital-a.example/ehr1',
    readonly chainId: Buffer = bytesOf('chain').subarray(0, 16),
    readonly author: TestAuthor = testAuthor('author'),
  ) {
    this.ledgerId = ledgerId(origin);
  }

  hashAt(height: number): Buffer {
    return height < 0 ? genesisHash(this.ledgerId, this.chainId) : this.blocks[height]!.blockHash;
  }

  get head(): { height: number; hash: Buffer } {
    return { height: this.blocks.length - 1, hash: this.hashAt(this.blocks.length - 1) };
  }

  add(plan: BlockPlan = {}): StoredBlock {
    const height = this.blocks.length;
    const recordId = testRecordId(height);
    const recordKey = bytesOf(`record key ${height}`);
    const payload = plan.payload === undefined ? Buffer.from(`{"resourceType":"Observation","id":"${recordId}"}`) : plan.payload;
    const place = { recordKey, ledgerId: this.ledgerId, chainId: this.chainId, recordId, version: 1 };
    const ciphertext = payload === null ? null : encryptContent({ ...place, payload, nonce: sha256(payload).subarray(0, 12) });
    const commit = payload === null ? ZERO_HASH : contentCommit(opening(recordKey), payload);
    const kind = BlockKind[plan.kind ?? 'record'];
    const author = plan.author === undefined ? this.author : plan.author;
    const attestation =
      author === null ? null : this.attest(author, { recordId, kind, commit, saw: plan.saw ?? height - 1, iat: plan.iat ?? 1_760_000_000 });
    const header = encodeHeader({
      kind,
      ledgerId: this.ledgerId,
      chainId: this.chainId,
      height,
      sealedAt: 1_760_000_000_000 + height,
      prevHash: this.hashAt(height - 1),
      contentCommit: commit,
      ciphertextHash: ciphertext === null ? ZERO_HASH : sha256(ciphertext),
      attestationHash: attestation === null ? ZERO_HASH : sha256(attestation),
      authorKeyId: author === null ? ZERO_HASH : thumbprint(author.jwk),
      refHash: plan.refHash ?? ZERO_HASH,
      ...plan.header,
    });
    const block: StoredBlock = {
      height,
      blockHash: blockHash(header),
      prevHash: this.hashAt(height - 1),
      header,
      recordId,
      version: 1,
      attestation,
      ciphertext,
    };
    this.blocks.push(block);
    return block;
  }

  /** An unsigned `open-chain` block and `records` records. */
  static withRecords(records: number): ChainMaker {
    const chain = new ChainMaker();
    chain.add({ kind: 'open-chain', payload: null, author: null });
    for (let n = 0; n < records; n += 1) chain.add();
    return chain;
  }

  private attest(author: TestAuthor, block: { recordId: string; kind: BlockKind; commit: Buffer; saw: number; iat: number }): string {
    const claims = {
      iss: this.origin,
      sub: b64u(this.chainId),
      jti: block.recordId,
      ver: 1,
      knd: block.kind,
      iat: block.iat,
      cmt: b64u(block.commit),
      seen: { h: block.saw, b: b64u(this.hashAt(block.saw)) },
    };
    return signAttestation(claims, author.privateKey, author.kid);
  }
}
