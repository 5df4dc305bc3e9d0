import { FormatError, HASH_BYTES, ID_BYTES, b64u, isBytes, isUuid, requireBytes } from './bytes';
import { BlockContext, CLOCK_LEEWAY_MS, KeyOrder, Say, StoredBlock, checkAttestation, checkContent, malformedColumn } from './block';
import { BlockHeader, BlockKind, blockHash, decodeHeader, genesisHash } from './header';
import { PublicJwk } from './jwk';
import { SeenHashes } from './seen-hashes';
import { ChainHead, ChainReport, Erasure, Finding, MAX_FINDINGS, Verdict } from './verdict';

export type { KeyOrder, StoredBlock } from './block';

export interface ChainVerifierOptions {
  /** SHA-256 of the origin that the chain must belong to. */
  readonly ledgerId: Buffer;
  readonly chainId: Buffer;
  /** The registered key of a thumbprint (base64url). Asked for every block; keep an in-memory map behind it. */
  readonly keyOf: (kid: string) => PublicJwk | undefined;
  /** What the log says about when keys counted; without it revocations are not seen. Asked for every signed block. */
  readonly keyOrder?: KeyOrder;
  /**
   * False is for quick checks between full ones: it leaves out what stands inside the attestations (claims, key and Ed25519 signature, some
   * 160 µs a block) and still holds their stored bytes against the header. Default true.
   */
  readonly signatures?: boolean;
}

/** One walk over one chain, fed by the caller, who pages the rows. Memory: 32 bytes a block, and what the report holds. */
export interface ChainVerifier {
  /**
   * Takes the next block; the order is that of the heights. Never throws for anything in the row.
   * @returns its header, right or wrong, so that nobody need decode it again; null when it was not decoded
   * @throws Error after `finish`
   */
  push(block: StoredBlock): BlockHeader | null;
  /**
   * Ends the walk.
   * @param expectedHead a head the caller trusts from elsewhere (a receipt, the log, the head row): what shows a truncated tail. With null,
   *   truncation cannot be seen.
   * @throws Error when called again
   */
  finish(expectedHead: ChainHead | null): ChainReport;
}

/**
 * Verifies invariants I1 and I2, the content and the attestation of every block. The best verdict is `VALID` (`ERASED` with lawful gaps):
 * a chain link is never accepted in place of an inclusion proof, and what the log adds, its own verifier says.
 * @throws RangeError on a ledger or chain id of wrong size
 */
export function createChainVerifier(options: ChainVerifierOptions): ChainVerifier {
  requireBytes('ledgerId', options.ledgerId, HASH_BYTES);
  requireBytes('chainId', options.chainId, ID_BYTES);
  return new ChainWalk(options);
}

interface Missing {
  readonly height: number;
  readonly recordId: string;
}

class ChainWalk implements ChainVerifier {
  private readonly findings: Finding[] = [];
  private readonly erased: Erasure[] = [];
  /** Blocks without their ciphertext, by block hash, until an ERASE block speaks of them. */
  private readonly missing = new Map<string, Missing>();
  private readonly seen: SeenHashes;
  private readonly context: BlockContext;
  private made = 0;
  private tampered = false;
  private finished = false;
  private blocks = 0;
  private nextHeight = 0;
  /** The highest time of sealing so far, ms. */
  private latest = 0;
  private prevHash: Buffer;
  private readonly genesis: Buffer;

  constructor(private readonly options: ChainVerifierOptions) {
    this.genesis = this.prevHash = genesisHash(options.ledgerId, options.chainId);
    this.seen = new SeenHashes(this.genesis);
    const { ledgerId, chainId, keyOf, keyOrder, signatures = true } = options;
    const wasBelow = (height: number, hash: string): boolean => this.seen.has(height, hash);
    this.context = { ledgerId, chainId, keyOf, ...(keyOrder && { keyOrder }), signatures, wasBelow };
  }

  push(block: StoredBlock): BlockHeader | null {
    if (this.finished) throw new Error('this walk is finished');
    const column = malformedColumn(block);
    const height = column === 'height' ? this.nextHeight : block.height;
    const say: Say = (code, field) => {
      this.tamper({ code, height, field, ...(isUuid(block.recordId) ? { recordId: block.recordId } : {}) });
    };
    if (column !== undefined) say('MALFORMED', column);
    this.checkHeight(height, say);
    const hash = Buffer.isBuffer(block.header) ? blockHash(block.header) : Buffer.alloc(HASH_BYTES);
    const header = column === undefined ? this.checkBlock(block, hash, say) : null;
    this.seen.append(hash);
    this.prevHash = hash;
    this.nextHeight = height + 1;
    this.blocks += 1;
    return header;
  }

  finish(expectedHead: ChainHead | null): ChainReport {
    if (this.finished) throw new Error('this walk is finished');
    this.finished = true;
    for (const gap of this.missing.values()) this.note({ code: 'CIPHERTEXT_MISMATCH', field: 'ciphertext', ...gap });
    const head = this.blocks === 0 ? {} : { head: { height: this.nextHeight - 1, hash: this.prevHash } };
    if (expectedHead !== null) this.checkHead(expectedHead);
    else if (this.blocks === 0) this.note({ code: 'HEAD_MISMATCH', height: 0, field: 'head' }); // nothing was verified: that is not VALID
    return {
      verdict: this.verdict(),
      chainId: b64u(this.options.chainId),
      blocks: this.blocks,
      ...head,
      findings: this.findings.sort((a, b) => a.height - b.height),
      omitted: this.made - this.findings.length,
      erased: this.erased,
    };
  }

  private checkHeight(height: number, say: Say): void {
    if (height === this.nextHeight) return;
    say('HEIGHT_GAP', 'height');
    this.seen.restart(height);
  }

  private checkBlock(block: StoredBlock, hash: Buffer, say: Say): BlockHeader | null {
    const before = this.made;
    if (!block.blockHash.equals(hash)) say('HEADER_MISMATCH', 'blockHash');
    let header: BlockHeader;
    try {
      header = decodeHeader(block.header);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      say('MALFORMED', error.field);
      return null;
    }
    this.checkPlace(block, header, say);
    const missing = checkContent(block, header, say);
    checkAttestation(block, { header, hash }, this.context, say);
    // Only a flawless ERASE block excuses a gap: else whoever deletes a content could forge the excuse along with it.
    if (header.kind === BlockKind.erase && this.made === before) this.erase(header.refHash, block.height);
    // Its own content comes after: no ERASE block excuses itself.
    if (missing) this.missing.set(hash.toString('latin1'), { height: block.height, recordId: block.recordId });
    return header;
  }

  private checkPlace(block: StoredBlock, header: BlockHeader, say: Say): void {
    if (!header.ledgerId.equals(this.options.ledgerId)) say('HEADER_MISMATCH', 'header.ledgerId');
    if (!header.chainId.equals(this.options.chainId)) say('HEADER_MISMATCH', 'header.chainId');
    if (header.height !== block.height) say('HEADER_MISMATCH', 'header.height');
    if (block.prevHash !== undefined && !block.prevHash.equals(header.prevHash)) say('HEADER_MISMATCH', 'prevHash');
    if (!header.prevHash.equals(this.prevHash)) say('BROKEN_LINK', 'header.prevHash');
    if (header.sealedAt + CLOCK_LEEWAY_MS < this.latest) say('HEADER_MISMATCH', 'header.sealedAt');
    this.latest = Math.max(this.latest, header.sealedAt);
  }

  /** The genesis hash stands for everything below. A content that is still there is not deleted yet: sealing comes first, deleting after. */
  private erase(refHash: Buffer, erasedBy: number): void {
    const keys = refHash.equals(this.genesis) ? [...this.missing.keys()] : [refHash.toString('latin1')];
    for (const key of keys) {
      const gap = this.missing.get(key);
      if (gap === undefined) continue;
      this.missing.delete(key);
      this.erased.push({ ...gap, erasedBy });
    }
  }

  private checkHead({ height, hash }: ChainHead): void {
    const say = (field: string): void => this.tamper({ code: 'HEAD_MISMATCH', height, field });
    if (this.nextHeight - 1 !== height) say('head.height');
    else if (!isBytes(hash, HASH_BYTES) || !hash.equals(this.prevHash)) say('head.hash');
  }

  private tamper(finding: Finding): void {
    this.tampered = true;
    this.note(finding);
  }

  private note(finding: Finding): void {
    this.made += 1;
    if (this.findings.length < MAX_FINDINGS) this.findings.push(finding);
  }

  private verdict(): Verdict {
    if (this.tampered) return 'TAMPERED';
    if (this.made > 0) return 'INCOMPLETE';
    return this.erased.length > 0 ? 'ERASED' : 'VALID';
  }
}
