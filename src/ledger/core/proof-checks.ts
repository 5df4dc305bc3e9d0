import { sha256 } from './bytes';
import { Checkpoint, parseCheckpointText } from './checkpoint';
import { encodeEntry, EntryKind } from './entry';
import { blockHash, BlockHeader, decodeHeader } from './header';
import { b64u } from './bytes';
import { PublicJwk } from './jwk';
import { parseNote } from './note';
import { Policy, verifyCheckpoint } from './policy';
import { ReportMaker } from './proof-report';
import { EMPTY_ROOT, leafHash, verifyConsistency, verifyInclusion } from './tree';
import { TrustedCheckpoints } from './trust';
import { AddCheckpoint } from './witness-protocol';

/** What the verifier brings along. None of it may come from whoever is verified. */
export interface ProofOptions {
  /** Whose signatures count. */
  readonly policy: Policy;
  /** The authors' keys by thumbprint, when the verifier knows them; otherwise those that the file brings are used. */
  readonly keys?: ReadonlyMap<string, PublicJwk>;
  /** The newest checkpoints that the verifier saw before; undefined when it remembers nothing. */
  readonly trust?: TrustedCheckpoints;
  /** Consistency proofs between checkpoints of one log, as requests of tlog-witness. */
  readonly consistency?: readonly AddCheckpoint[];
  /** Heads of chains known from elsewhere, e.g. from a print. */
  readonly heads?: readonly { readonly chainId: string; readonly height: number; readonly hash: Buffer }[];
}

/** Checks that are only made when the verifier brings something to make them with. */
export function trustChecks(options: ProofOptions): readonly 'trust'[] {
  return options.trust === undefined ? [] : ['trust'];
}

const LATER_LOG = /^(.+)\/([1-9][0-9]{0,8})$/;

/** Whether the log `logOrigin` is one of the ledger `ledgerId`: it has the ledger's name, or that name and `/<n>` (n from 2) for a log begun anew after a restore. */
export function isLogOf(logOrigin: string, ledgerId: Buffer): boolean {
  if (sha256(logOrigin).equals(ledgerId)) return true;
  const [, origin, incarnation] = LATER_LOG.exec(logOrigin) ?? [];
  return origin !== undefined && Number(incarnation) >= 2 && sha256(origin).equals(ledgerId);
}

/** Reads a header and takes its facts. */
export function readHeader(maker: ReportMaker, bytes: Buffer): BlockHeader {
  const header = decodeHeader(bytes);
  const { kind, height, sealedAt } = header;
  Object.assign(maker.facts, { kind, height, sealedAt, chainId: b64u(header.chainId), blockHash: blockHash(bytes).toString('hex') });
  return header;
}

/**
 * Checks a signed checkpoint under the policy, and that its log is one of the ledger.
 * @returns the checkpoint when the log's signature is good
 */
export function checkCheckpoint(maker: ReportMaker, note: string, ledgerId: Buffer, { policy }: ProofOptions): Checkpoint | undefined {
  return maker.check('checkpoint', (say) => {
    const found = verifyCheckpoint(note, policy);
    if ('invalid' in found) return void say('CHECKPOINT_INVALID', found.invalid);
    if (!isLogOf(found.checkpoint.origin, ledgerId)) return void say('CHECKPOINT_INVALID', 'checkpoint.origin');
    maker.checkpoint = { ...found.checkpoint, note, cosigners: found.cosigners };
    maker.witnessed = found.witnessed;
    return found.checkpoint;
  });
}

/** Whether the block with this header is the leaf at `index` under the checkpoint. The leaf is made here, from the header itself. */
export function isLeaf(header: Buffer, index: bigint, proof: readonly Buffer[], { size, root }: Checkpoint): boolean {
  const leaf = leafHash(encodeEntry({ kind: EntryKind.block, hash: blockHash(header) }));
  return verifyInclusion(index, size, leaf, proof, root);
}

/**
 * Holds a checkpoint against the one that the verifier saw last of the same log: two roots of one size are a split view, and other sizes
 * need a consistency proof between the two.
 */
export function checkTrust(maker: ReportMaker, checkpoint: Checkpoint, { trust, consistency = [] }: ProofOptions): void {
  if (trust === undefined) return;
  maker.check('trust', (say) => {
    const seen = trust.newest(checkpoint.origin);
    if (seen === undefined) return void (maker.keep = true);
    if (seen.size === checkpoint.size) return seen.root.equals(checkpoint.root) ? undefined : say('CONSISTENCY_INVALID', 'checkpoint.root');
    const [older, newer] = seen.size < checkpoint.size ? [seen, checkpoint] : [checkpoint, seen];
    const proof = proofBetween(older, newer, consistency);
    if (proof === undefined) {
      return older === seen
        ? maker.miss({ code: 'CONSISTENCY_INVALID', field: 'consistency' })
        : maker.miss({ code: 'ROLLBACK', field: 'checkpoint.size' });
    }
    if (!verifyConsistency(older.size, newer.size, proof, older.root, newer.root)) return say('CONSISTENCY_INVALID', 'consistency');
    maker.keep = newer === checkpoint;
    return undefined;
  });
}

/** The proof that the verifier was given between these two; none is needed from the empty tree. */
function proofBetween(older: Checkpoint, newer: Checkpoint, proofs: readonly AddCheckpoint[]): readonly Buffer[] | undefined {
  if (older.size === 0n && older.root.equals(EMPTY_ROOT)) return [];
  return proofs.find(({ oldSize, checkpoint }) => {
    const { origin, size } = parseCheckpointText(parseNote(checkpoint).text);
    return oldSize === older.size && size === newer.size && origin === newer.origin;
  })?.proof;
}
