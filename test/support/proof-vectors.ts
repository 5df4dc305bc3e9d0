import { checkpointText } from '../../src/ledger/core/checkpoint';
import { EntryKind } from '../../src/ledger/core/entry';
import { b64 } from '../../src/ledger/core/vkey';
import { bytesOf, ChainMaker, testAuthor } from '../reference/chain-maker';
import { policyText, ProofMaker, signedNote } from '../reference/proof-maker';

/** One file and what a verifier must say of it. */
export interface ProofVector {
  readonly name: string;
  readonly policy: keyof typeof POLICIES;
  readonly file: string;
  /** The verifier's memory, its consistency proofs, heads and keys (`kid:x`). */
  readonly trust?: string;
  readonly consistency?: readonly string[];
  readonly heads?: readonly string[];
  readonly keys?: readonly string[];
  readonly verdict: string;
  /** `CODE field height`, in the order of the report; `-` where there is no height. */
  readonly findings: readonly string[];
}

const ORIGIN = 'ledger.hospital-a.example/ehr1';
const SECOND = `${ORIGIN}/2`;
export const POLICIES = {
  both: policyText([ORIGIN, SECOND, `${ORIGIN}/1`], 'both'),
  none: policyText([ORIGIN], 'none'),
  stranger: policyText(['ledger.stranger.example/ehr1'], 'both'),
} as const;

const RECORDS = 3;
const good = new ProofMaker(ChainMaker.withRecords(RECORDS));
const { chain, tree } = good;
const HEIGHT = 2;
const header = chain.blocks[HEIGHT]!.header;

type Rest = Partial<Pick<ProofVector, 'policy' | 'trust' | 'consistency' | 'heads' | 'keys'>>;
const vector = (name: string, file: string, verdict: string, findings: readonly string[] = [], rest: Rest = {}): ProofVector => ({
  name,
  policy: 'both',
  file,
  ...rest,
  verdict,
  findings,
});
const tampered = (name: string, file: string, ...findings: string[]): ProofVector => vector(name, file, 'TAMPERED', findings);

/** The bytes with one bit changed. */
function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function receipts(): ProofVector[] {
  const proof = tree.inclusion(BigInt(good.placeOf(HEIGHT)), tree.size);
  const text = good.receipt(HEIGHT);
  const key = new ProofMaker(ChainMaker.withRecords(RECORDS));
  const keyEvent = key.tree.add(EntryKind['key-event'], chain.blocks[HEIGHT]!.blockHash);
  const otherRoot = signedNote(ORIGIN, checkpointText({ origin: ORIGIN, size: tree.size, root: bytesOf('another root') }), 2);
  const stolen = good.note().replace(b64(tree.root(tree.size)), b64(bytesOf('another root')));
  const foreign = new ProofMaker(chainOf('ledger.elsewhere.example/ehr1'), ORIGIN);
  const bad = good
    .note()
    .replace(/(witness-2\.example\/w \S{60})(.)/, (_all, head: string, last: string) => head + (last === 'A' ? 'B' : 'A'));
  const lines = (more: object) => good.receipt(HEIGHT, more);
  const inclusion = `INCLUSION_INVALID receipt.proof ${HEIGHT}`;
  return [
    vector('receipt', text, 'VALID'),
    vector('receipt of the block that opens the chain', good.receipt(0), 'VALID'),
    vector('receipt under a policy without witnesses', lines({ checkpoint: good.note(0) }), 'VALID_UNWITNESSED', [], { policy: 'none' }),
    vector('receipt with one of two witnesses', lines({ checkpoint: good.note(1) }), 'VALID_UNWITNESSED'),
    vector('receipt of the log that follows a restore', new ProofMaker(ChainMaker.withRecords(RECORDS), SECOND).receipt(HEIGHT), 'VALID'),
    tampered(
      'receipt of a log that is no incarnation',
      new ProofMaker(ChainMaker.withRecords(RECORDS), `${ORIGIN}/1`).receipt(HEIGHT),
      `CHECKPOINT_INVALID checkpoint.origin ${HEIGHT}`,
    ),
    tampered('receipt of another ledger in this log', foreign.receipt(HEIGHT), `CHECKPOINT_INVALID checkpoint.origin ${HEIGHT}`),
    vector('receipt of a log that is not trusted', text, 'TAMPERED', [`CHECKPOINT_INVALID checkpoint.origin ${HEIGHT}`], {
      policy: 'stranger',
    }),
    tampered('receipt with a changed time in the header', lines({ extra: flip(header, 81) }), inclusion),
    tampered(
      'receipt with a header of an unknown kind',
      lines({ extra: Buffer.concat([header.subarray(0, 16), Buffer.of(99), header.subarray(17)]) }),
      'MALFORMED header.kind -',
    ),
    tampered('receipt without a header', text.replace(/extra .*\n/, ''), 'MALFORMED receipt.extra -'),
    tampered('ATTACK forged inclusion proof', lines({ proof: [flip(proof[0] ?? Buffer.alloc(0), 0), ...proof.slice(1)] }), inclusion),
    tampered('receipt with a short proof', lines({ proof: proof.slice(0, -1) }), inclusion),
    tampered('ATTACK duplicated last leaf', lines({ proof: [...proof, proof.at(-1)] }), inclusion),
    tampered('receipt with the neighbour’s index', lines({ index: BigInt(good.placeOf(HEIGHT) + 1) }), inclusion),
    tampered('ATTACK huge index', lines({ index: 2n ** 63n - 1n }), inclusion),
    tampered('ATTACK a chain link in place of an inclusion proof', good.receipt(HEIGHT + 1, { extra: header }), inclusion),
    tampered(
      'ATTACK a key event with the hash of a block',
      key.receipt(HEIGHT, { index: BigInt(keyEvent), proof: key.tree.inclusion(BigInt(keyEvent), key.tree.size) }),
      inclusion,
    ),
    tampered('receipt with a root that nobody signed', lines({ checkpoint: stolen }), `CHECKPOINT_INVALID checkpoint.signature ${HEIGHT}`),
    tampered('receipt under another signed root', lines({ checkpoint: otherRoot }), inclusion),
    tampered('receipt with a false cosignature', lines({ checkpoint: bad }), `CHECKPOINT_INVALID cosignature w2 ${HEIGHT}`),
    tampered('receipt without its last newline', text.slice(0, -1), 'MALFORMED note -'),
    tampered('receipt with a leading zero', text.replace('index ', 'index 0'), 'MALFORMED receipt.index -'),
  ];
}

function chainOf(origin: string): ChainMaker {
  const made = new ChainMaker(origin);
  made.add({ kind: 'open-chain', payload: null, author: null });
  for (let n = 0; n < RECORDS; n += 1) made.add();
  return made;
}

function bundles(): ProofVector[] {
  const of = (more: Parameters<ProofMaker['bundle']>[1]) => good.bundle(HEIGHT, more);
  const whole = good.bundleOf(HEIGHT);
  const text = good.bundle(HEIGHT);
  const other = testAuthor('somebody else');
  const at = (code: string, field: string) => `${code} ${field} ${HEIGHT}`;
  const form = (name: string, file: string, field: string) => tampered(name, file, `MALFORMED ${field} -`);
  return [
    vector('bundle', text, 'VALID'),
    vector('bundle with white space', JSON.stringify(JSON.parse(text), null, 2), 'VALID'),
    vector('bundle whose author the verifier knows', text, 'VALID', [], { keys: [`${good.key.kid}:${good.key.x}`] }),
    vector('bundle whose author the verifier does not know', text, 'TAMPERED', [at('KEY_UNKNOWN', 'header.authorKeyId')], {
      keys: [`${other.kid}:${other.jwk.x}`],
    }),
    vector('bundle without witnesses', of({ receipt: good.receipt(HEIGHT, { checkpoint: good.note(0) }) }), 'VALID_UNWITNESSED'),
    tampered(
      'bundle with another payload',
      of({ payload: Buffer.from('{"resourceType":"Observation"}') }),
      at('CONTENT_MISMATCH', 'payload'),
    ),
    tampered('bundle with another opening', of({ opening: bytesOf('another opening') }), at('CONTENT_MISMATCH', 'payload')),
    tampered('bundle with another record id', of({ recordId: chain.blocks[1]!.recordId }), at('ATTESTATION_INVALID', 'attestation.jti')),
    tampered('bundle with another version', of({ version: 2 }), at('ATTESTATION_INVALID', 'attestation.ver')),
    tampered(
      'ATTACK replay an attestation of another block',
      of({ attestation: chain.blocks[1]!.attestation ?? '' }),
      at('ATTESTATION_INVALID', 'attestation'),
    ),
    tampered(
      'bundle with another author',
      of({ author: { kid: other.kid, x: other.jwk.x, custody: 'server' } }),
      at('KEY_UNKNOWN', 'header.authorKeyId'),
    ),
    tampered(
      'bundle with another key under the author’s name',
      of({ author: { ...whole.author, x: other.jwk.x } }),
      at('KEY_UNKNOWN', 'header.authorKeyId'),
    ),
    tampered(
      'ATTACK weak Ed25519 key',
      of({ author: { ...whole.author, x: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]).toString('base64url') } }),
      at('ATTESTATION_INVALID', 'jwk.x'),
    ),
    tampered('bundle with the receipt of another block', of({ receipt: good.receipt(1) }), at('HEADER_MISMATCH', 'receipt.extra')),
    tampered('bundle with a changed header', of({ header: flip(header, 81) }), at('HEADER_MISMATCH', 'receipt.extra')),
    tampered(
      'ATTACK backdate: header changed in bundle and receipt',
      of({ header: flip(header, 81), receipt: good.receipt(HEIGHT, { extra: flip(header, 81) }) }),
      at('INCLUSION_INVALID', 'receipt.proof'),
    ),
    tampered('bundle of another ledger', of({ origin: 'ledger.elsewhere.example/ehr1' }), at('HEADER_MISMATCH', 'header.ledgerId')),
    form('ATTACK duplicate JSON keys', text.replace('"version":1', '"version":2,"version":1'), 'bundle'),
    form('ATTACK lone surrogates', text.replace(`"origin":"`, `"origin":"\\ud800`), 'bundle'),
    form('bundle with another spelling of a number', text.replace('"version":1', '"version":1.0'), 'bundle'),
    form('bundle with a member too many', text.replace('"version":1', '"version":1,"valid":true'), 'file'),
    form('bundle without a member', text.replace('"version":1,', ''), 'version'),
    form('bundle with a long opening', of({ opening: Buffer.alloc(33) }), 'opening'),
    form('bundle that is cut off', text.slice(0, -20), 'bundle'),
  ];
}

function chains(): ProofVector[] {
  const text = good.export(true);
  const whole = good.exportOf(true);
  const without = (change: (blocks: ReturnType<ProofMaker['exportOf']>['blocks'][number][]) => unknown): string => {
    const blocks = [...whole.blocks];
    change(blocks);
    return good.export(true, { blocks });
  };
  const edited = (height: number, more: object) => without((blocks) => blocks.splice(height, 1, { ...blocks[height]!, ...more }));
  const head = (height: number, hash: Buffer) => `bjwt-ehr:chain:${whole.chainId}:${height}:${hash.toString('hex')}`;
  const known = head(RECORDS, chain.hashAt(RECORDS));
  const erasing = ChainMaker.withRecords(RECORDS);
  erasing.add({ kind: 'erase', refHash: erasing.hashAt(1) });
  const erased = new ProofMaker(erasing);
  const gone = erased.exportOf(true);
  const withoutFirst = gone.blocks.map((block) => (block.height === 1 ? { ...omitKey(block), ciphertext: null } : block));
  const rewritten = new ProofMaker(chainOf(ORIGIN));
  rewritten.chain.blocks.splice(RECORDS, 1);
  rewritten.chain.add({ payload: Buffer.from('{"resourceType":"Observation","id":"never written"}') });
  const forged = rewritten.exportOf(false).blocks;
  const [one, two] = [whole.blocks[1]!, whole.blocks[2]!];
  return [
    vector('chain with contents', text, 'VALID'),
    vector('chain without record keys', good.export(), 'VALID'),
    vector('chain that contains a known head', text, 'VALID', [], { heads: [known, head(1, chain.hashAt(1))] }),
    vector('chain without witnesses', good.export(false, { checkpoint: good.note(0) }), 'VALID_UNWITNESSED'),
    vector('chain with a lawful erasure', erased.export(true, { blocks: withoutFirst }), 'ERASED'),
    vector(
      'ATTACK truncate the tail, seen by a head from elsewhere',
      without((blocks) => blocks.pop()),
      'TAMPERED',
      [`HEAD_MISMATCH head.height ${RECORDS}`],
      {
        heads: [known],
      },
    ),
    vector(
      'a cut tail cannot be seen without a head from elsewhere',
      without((blocks) => blocks.pop()),
      'VALID',
    ),
    vector('chain that is not the known one', text, 'TAMPERED', ['HEAD_MISMATCH head.hash 1'], { heads: [head(1, bytesOf('another'))] }),
    vector('chain of another patient than the known head', text, 'INCOMPLETE', ['HEAD_MISMATCH head.chainId 1'], {
      heads: [`bjwt-ehr:chain:${'A'.repeat(22)}:1:${'0'.repeat(64)}`],
    }),
    vector('chain without one content', edited(2, { ciphertext: null }), 'INCOMPLETE', ['CIPHERTEXT_MISMATCH ciphertext 2']),
    vector('chain without blocks', good.export(true, { blocks: [] }), 'INCOMPLETE', ['HEAD_MISMATCH head 0']),
    tampered('ATTACK edit a ciphertext', edited(1, { ciphertext: flip(one.ciphertext!, 20) }), 'CIPHERTEXT_MISMATCH ciphertext 1'),
    tampered('chain with another record key', edited(1, { recordKey: bytesOf('another') }), 'CONTENT_MISMATCH ciphertext 1'),
    tampered(
      'ATTACK swap two ciphertexts',
      without((blocks) => blocks.splice(1, 2, { ...one, ciphertext: two.ciphertext }, { ...two, ciphertext: one.ciphertext })),
      'CIPHERTEXT_MISMATCH ciphertext 1',
      'CIPHERTEXT_MISMATCH ciphertext 2',
    ),
    tampered(
      'ATTACK delete a middle block',
      without((blocks) => blocks.splice(1, 1)),
      'HEIGHT_GAP height 2',
      'BROKEN_LINK header.prevHash 2',
    ),
    tampered(
      'ATTACK reorder',
      without((blocks) => blocks.splice(2, 2, blocks[3]!, blocks[2]!)),
      'HEIGHT_GAP height 2',
      'BROKEN_LINK header.prevHash 2',
      'HEIGHT_GAP height 3',
      'BROKEN_LINK header.prevHash 3',
      'LEAF_MISMATCH leafIndex 2',
    ),
    tampered(
      'ATTACK recompute the newest block: the chain fits, the log does not have it',
      good.export(false, {
        blocks: forged.map((block, height) => ({
          ...block,
          leafIndex: whole.blocks[height]!.leafIndex,
          proof: whole.blocks[height]!.proof,
        })),
      }),
      'INCLUSION_INVALID proof 3',
    ),
    tampered(
      'chain with the leaf of another block',
      edited(2, { leafIndex: one.leafIndex, proof: one.proof }),
      'INCLUSION_INVALID proof 2',
      'LEAF_MISMATCH leafIndex 2',
    ),
    tampered(
      'chain without its author’s key',
      good.export(false, { keys: [] }),
      ...[1, 2, 3].map((height) => `KEY_UNKNOWN header.authorKeyId ${height}`),
    ),
    tampered('chain under a name of another patient', good.export(false, { chainId: 'A'.repeat(22) }), ...otherChain()),
    tampered('chain with a false member', text.replace('"leafIndex":1,', '"leafIndex":"1",'), 'MALFORMED blocks[0].leafIndex -'),
  ];
}

function otherChain(): string[] {
  return [0, 1, 2, 3].flatMap((height) => [
    `HEADER_MISMATCH header.chainId ${height}`,
    ...(height === 0 ? ['BROKEN_LINK header.prevHash 0'] : [`ATTESTATION_INVALID attestation.sub ${height}`]),
  ]);
}

function omitKey<T extends { recordKey?: Buffer }>({ recordKey: _gone, ...rest }: T): Omit<T, 'recordKey'> {
  return rest;
}

function memories(): ProofVector[] {
  const now = tree.size;
  const before = now - 3n;
  const split = signedNote(ORIGIN, checkpointText({ origin: ORIGIN, size: now, root: bytesOf('another root') }), 2);
  const forked = signedNote(ORIGIN, checkpointText({ origin: ORIGIN, size: before, root: bytesOf('another root') }), 2);
  const larger = new ProofMaker(ChainMaker.withRecords(RECORDS + 2));
  const text = good.receipt(HEIGHT);
  const found = (finding: string) => [`${finding} ${HEIGHT}`];
  return [
    vector('first sight of a log', text, 'VALID', [], { trust: '' }),
    vector('the same checkpoint again', text, 'VALID', [], { trust: good.note(0) }),
    vector('memory of another log only', text, 'VALID', [], {
      trust: signedNote(SECOND, checkpointText({ origin: SECOND, size: 9n, root: bytesOf('x') }), 1),
    }),
    vector('a log that grew, with proof', text, 'VALID', [], { trust: good.note(2, before), consistency: [good.consistency(before, now)] }),
    vector('a log that grew, without proof', text, 'INCOMPLETE', found('CONSISTENCY_INVALID consistency'), { trust: good.note(2, before) }),
    vector('ATTACK forged consistency proof', text, 'TAMPERED', found('CONSISTENCY_INVALID consistency'), {
      trust: forked,
      consistency: [good.consistency(before, now)],
    }),
    vector('ATTACK split view', text, 'TAMPERED', found('CONSISTENCY_INVALID checkpoint.root'), { trust: split }),
    vector('ATTACK stale checkpoint replay', text, 'INCOMPLETE', found('ROLLBACK checkpoint.size'), { trust: larger.note() }),
    vector('an older receipt of a log that grew, with proof', text, 'VALID', [], {
      trust: larger.note(),
      consistency: [larger.consistency(now, larger.tree.size)],
    }),
    vector('an older receipt of the same log, with proof', good.receipt(1, olderProof(before)), 'VALID', [], {
      trust: good.note(),
      consistency: [good.consistency(before, now)],
    }),
  ];
}

function olderProof(size: bigint): object {
  return { proof: tree.inclusion(BigInt(good.placeOf(1)), size), checkpoint: good.note(2, size) };
}

/** Everything that `test/vectors/proofs.json` holds. */
export function proofVectors(): { readonly policies: typeof POLICIES; readonly vectors: readonly ProofVector[] } {
  return { policies: POLICIES, vectors: [...receipts(), ...bundles(), ...chains(), ...memories()] };
}
