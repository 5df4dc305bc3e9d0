import { createPrivateKey, createPublicKey } from 'node:crypto';
import { type Bundle, type CarriedKey, formatBundle } from '../../src/ledger/core/bundle';
import { b64u } from '../../src/ledger/core/bytes';
import { type ChainExport, formatChain } from '../../src/ledger/core/chain-export';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { opening } from '../../src/ledger/core/content';
import { signCosignature } from '../../src/ledger/core/cosignature';
import { encodeEntry, EntryKind } from '../../src/ledger/core/entry';
import { formatNote, type NoteSigner, signNote } from '../../src/ledger/core/note';
import { formatReceipt } from '../../src/ledger/core/receipt';
import { formatVkey, noteKey, type NoteKeyType } from '../../src/ledger/core/vkey';
import { formatAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import { bytesOf, ChainMaker, testRecordId } from './chain-maker';
import { MemoryTree } from './memory-tree';

/** A key that signs notes, whose seed comes from its name. */
export function testSigner(name: string, type: NoteKeyType): NoteSigner {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytesOf(`note key ${name}`)]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { key: noteKey(name, type, Buffer.from(x, 'base64url')), privateKey };
}

export const WITNESSES = ['witness-1.example/w', 'witness-2.example/w'].map((name) => testSigner(name, 4));

/** A policy over these logs: the two witnesses under the names w1 and w2, and the quorum. */
export function policyText(origins: readonly string[], quorum: string): string {
  const logs = origins.map((origin) => `log ${formatVkey(testSigner(origin, 1).key)}\n`);
  const witnesses = WITNESSES.map(({ key }, at) => `witness w${at + 1} ${formatVkey(key)}\n`);
  return [...logs, ...witnesses, 'group both all w1 w2\n', `quorum ${quorum}\n`].join('');
}

/** A log in memory over the blocks of one chain and some others, and the files that it hands out. It does what the format says, with fixed keys. */
export class ProofMaker {
  readonly tree = new MemoryTreeOf();
  /** Leaf index by height. */
  private readonly places: number[] = [];

  constructor(
    readonly chain: ChainMaker,
    readonly logOrigin = chain.origin,
  ) {
    this.tree.add(EntryKind['key-event'], bytesOf('something before'));
    for (const { blockHash } of chain.blocks) {
      this.places.push(this.tree.add(EntryKind.block, blockHash));
      this.tree.add(EntryKind.block, bytesOf(`a block of another patient after ${blockHash.toString('hex')}`));
    }
  }

  placeOf(height: number): number {
    return this.places[height] ?? -1;
  }

  /** A signed note over the first `size` leaves, cosigned by the first `witnesses` of the two. */
  note(witnesses = 2, size = this.tree.size): string {
    const text = checkpointText({ origin: this.logOrigin, size, root: this.tree.root(size) });
    return signedNote(this.logOrigin, text, witnesses);
  }

  receipt(height: number, more: Partial<Parameters<typeof formatReceipt>[0]> = {}): string {
    const index = BigInt(this.placeOf(height));
    const proof = this.tree.inclusion(index, this.tree.size);
    return formatReceipt({ extra: this.chain.blocks[height]?.header ?? Buffer.alloc(0), index, proof, checkpoint: this.note(), ...more });
  }

  bundleOf(height: number, more: Partial<Bundle> = {}): Bundle {
    const block = this.chain.blocks[height];
    if (!block || block.attestation === null) throw new Error(`no bundle of block ${height}`);
    return {
      origin: this.chain.origin,
      recordId: block.recordId,
      version: block.version,
      payload: payloadAt(height),
      opening: opening(bytesOf(`record key ${height}`)),
      header: block.header,
      attestation: block.attestation,
      author: this.key,
      receipt: this.receipt(height),
      ...more,
    };
  }

  bundle(height: number, more: Partial<Bundle> = {}): string {
    return formatBundle(this.bundleOf(height, more));
  }

  exportOf(contents = false, more: Partial<ChainExport> = {}): ChainExport {
    const blocks = this.chain.blocks.map((block) => ({
      height: block.height,
      header: block.header,
      recordId: block.recordId,
      version: block.version,
      attestation: block.attestation,
      ciphertext: block.ciphertext,
      ...(contents && block.ciphertext ? { recordKey: bytesOf(`record key ${block.height}`) } : {}),
      leafIndex: this.placeOf(block.height),
      proof: this.tree.inclusion(BigInt(this.placeOf(block.height)), this.tree.size),
    }));
    return { origin: this.chain.origin, chainId: b64u(this.chain.chainId), checkpoint: this.note(), blocks, keys: [this.key], ...more };
  }

  export(contents = false, more: Partial<ChainExport> = {}): string {
    return [...formatChain(this.exportOf(contents, more))].join('');
  }

  /** Proof from the tree of `from` leaves to that of `to`, as a file. */
  consistency(from: bigint, to: bigint): string {
    return formatAddCheckpoint({ oldSize: from, proof: this.tree.consistency(from, to), checkpoint: this.note(2, to) });
  }

  get key(): CarriedKey {
    return { kid: this.chain.author.kid, x: this.chain.author.jwk.x, custody: 'server' };
  }
}

/** What `ChainMaker` seals at a height unless told otherwise. */
export const payloadAt = (height: number): Buffer => Buffer.from(`{"resourceType":"Observation","id":"${testRecordId(height)}"}`);

export function signedNote(origin: string, text: string, witnesses: number): string {
  const cosignatures = WITNESSES.slice(0, witnesses).map((signer, at) => signCosignature(text, signer, 1_760_000_000n + BigInt(at)));
  return formatNote({ text, signatures: [signNote(text, testSigner(origin, 1)), ...cosignatures] });
}

/** Entries and their tree. */
class MemoryTreeOf {
  private readonly entries: Buffer[] = [];

  add(kind: EntryKind, hash: Buffer): number {
    return this.entries.push(encodeEntry({ kind, hash })) - 1;
  }
  get size(): bigint {
    return BigInt(this.entries.length);
  }
  root(size: bigint): Buffer {
    return MemoryTree.of(this.entries).root(size);
  }
  inclusion(index: bigint, size: bigint): Buffer[] {
    return MemoryTree.of(this.entries).inclusion(index, size);
  }
  consistency(from: bigint, to: bigint): Buffer[] {
    return MemoryTree.of(this.entries).consistency(from, to);
  }
}
