import { HASH_BYTES, b64u } from './bytes';

const FIRST_ROOM = 64 * HASH_BYTES;

/**
 * The block hashes of one chain so far, 32 bytes each in one growing buffer: an attestation may name any block below its own. After a gap
 * in the heights the run starts anew, because nothing can be said about the blocks that are not there.
 */
export class SeenHashes {
  private bytes = Buffer.alloc(FIRST_ROOM);
  private start = 0;
  private count = 0;
  private readonly genesis: string;

  constructor(genesis: Buffer) {
    this.genesis = b64u(genesis);
  }

  /** Adds the hash of the next height. */
  append(hash: Buffer): void {
    if ((this.count + 1) * HASH_BYTES > this.bytes.length) {
      const larger = Buffer.alloc(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes.set(hash, this.count * HASH_BYTES);
    this.count += 1;
  }

  /** Forgets all; the next hash is that of `height`. */
  restart(height: number): void {
    this.start = height;
    this.count = 0;
  }

  /**
   * Whether `hash` (base64url) stands at `height`, below the block to come; height -1 is the genesis hash. Of a height before a gap it is
   * not known and passes: the gap itself is already a finding.
   */
  has(height: number, hash: string): boolean {
    if (height === -1) return hash === this.genesis;
    const position = height - this.start;
    if (position >= this.count) return false;
    if (position < 0) return height >= 0;
    return b64u(this.bytes.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES)) === hash;
  }
}
