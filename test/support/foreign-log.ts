import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { formatNote, type NoteSigner, signNote } from '../../src/ledger/core/note';
import { formatVkey, noteKey } from '../../src/ledger/core/vkey';
import { formatAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import { MemoryTree, testEntries } from '../reference/memory-tree';

/** A fresh Ed25519 key under a name. */
export function newSigner(name: string, type: 1 | 4 = 1): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { key: noteKey(name, type, Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')), privateKey };
}

/** Somebody else's log, in memory: honest by itself, and with `seed` another tree under the same name. */
export class ForeignLog {
  private readonly tree: MemoryTree;

  constructor(
    readonly origin: string,
    readonly signer: NoteSigner = newSigner(origin),
    seed = 'entry',
    leaves = 600,
  ) {
    this.tree = MemoryTree.of(testEntries(leaves, seed));
  }

  /** The same name and key over another tree: what who stole the key can make. */
  forked(seed = 'forged'): ForeignLog {
    return new ForeignLog(this.origin, this.signer, seed);
  }

  get vkey(): string {
    return formatVkey(this.signer.key);
  }

  root(size: number): Buffer {
    return this.tree.root(BigInt(size));
  }

  /** A signed checkpoint. */
  note(size: number, root = this.root(size), signer = this.signer): string {
    const text = checkpointText({ origin: this.origin, size: BigInt(size), root });
    return formatNote({ text, signatures: [signNote(text, signer)] });
  }

  /** Body of add-checkpoint with an honest proof. */
  request(size: number, oldSize = 0, checkpoint = this.note(size)): string {
    const proof = oldSize > 0 && oldSize < size ? this.tree.consistency(BigInt(oldSize), BigInt(size)) : [];
    return formatAddCheckpoint({ oldSize: BigInt(oldSize), proof, checkpoint });
  }
}

/** A policy file in a scratch folder. */
export function policyFile(...lines: readonly string[]): string {
  const file = join(mkdtempSync(join(tmpdir(), 'bjwt-ehr-policy-')), 'policy.txt');
  writeFileSync(file, [...lines, ''].join('\n'));
  return file;
}
