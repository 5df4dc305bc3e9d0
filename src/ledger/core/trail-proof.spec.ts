import { MemoryTree } from '../../../test/reference/memory-tree';
import { signer } from '../../../test/reference/note-kit';
import { FormatError, sha256 } from './bytes';
import { checkpointText } from './checkpoint';
import { signCosignature } from './cosignature';
import { encodeEntry, EntryKind } from './entry';
import { formatNote, signNote } from './note';
import { parsePolicy } from './policy';
import { formatReceipt, parseReceipt } from './receipt';
import { encodeTrailRow, trailBody, trailHash, trailLeaf, trailPath, trailRoot } from './trail';
import { formatTrailProof, parseTrailProof, type TrailProof, verifyTrailProof } from './trail-proof';
import { formatVkey } from './vkey';

const log = signer('ledger.example/h', 1);
const witness = signer('witness.example/w', 4);
const policy = parsePolicy(`log ${formatVkey(log.key)}\nwitness W ${formatVkey(witness.key)}\nquorum W\n`);

const id = (n: number): string => `01999999-0000-7000-8000-${String(n).padStart(12, '0')}`;
const empty = { actorId: null, actorRole: null, actorHospitalId: null, hospitalId: null, patientId: null, subjectId: null, purpose: null };
const none = { kind: null, reason: null, rules: null, contractVersion: null, count: null, setDigest: null, headHeight: null };
const rows = Array.from({ length: 5 }, (_none, n) => ({
  ...empty,
  ...none,
  id: id(n + 1),
  at: 1_760_000_000_000 + n,
  action: 'record.read',
  outcome: 'ok',
  requestId: `r${n}`,
}));
const leaves = rows.map(trailLeaf);
const batch = { number: 2, from: id(0), until: id(5), count: 5, root: trailRoot(leaves), previous: sha256('before') };

/** What a log says that has this batch at index 2, among other entries. */
function receiptOf(body: string, kind: (typeof EntryKind)[keyof typeof EntryKind] = EntryKind['access-log'], cosigned = true): string {
  const others = [1, 2, 3, 4].map((n) => encodeEntry({ kind: EntryKind.block, hash: sha256(String(n)) }));
  const tree = MemoryTree.of([...others.slice(0, 2), encodeEntry({ kind, hash: trailHash(body) }), ...others.slice(2)]);
  const text = checkpointText({ origin: log.key.name, size: 5n, root: tree.root(5n) });
  const signatures = [signNote(text, log), ...(cosigned ? [signCosignature(text, witness, 1_760_000_000n)] : [])];
  return formatReceipt({ index: 2n, proof: tree.inclusion(2n, 5n), checkpoint: formatNote({ text, signatures }) });
}
function proofOf(index = 3, of = batch): TrailProof {
  const body = trailBody(of);
  const row = encodeTrailRow(rows[index] ?? {}).toString('utf8');
  return { row, batch: body, index, path: trailPath(leaves, index), receipt: receiptOf(body) };
}
const says = (proof: TrailProof): string => {
  const { verdict, findings } = verifyTrailProof(proof, policy);
  return [verdict, ...findings.map(({ code, height, field }) => `${code} ${height} ${field}`)].join(', ');
};
const good = proofOf();

describe('the proof of one row', () => {
  it('shows the row, its batch and the checkpoint', () => {
    for (const index of rows.keys()) {
      const report = verifyTrailProof(proofOf(index), policy);
      expect(report).toMatchObject({ verdict: 'VALID', findings: [], row: rows[index], batch: { number: 2, count: 5 } });
      expect(report.checkpoint?.checkpoint).toMatchObject({ origin: 'ledger.example/h', size: 5n });
    }
  });

  it('is unwitnessed without the quorum, and incomplete without batch or receipt', () => {
    expect(says({ ...good, receipt: receiptOf(good.batch ?? '', undefined, false) })).toBe('VALID_UNWITNESSED');
    expect(says({ ...good, batch: null, index: null, path: [], receipt: null })).toBe('INCOMPLETE, LEAF_MISSING 0 trail.batch');
    expect(says({ ...good, receipt: null })).toBe('INCOMPLETE, LEAF_MISSING 2 trail.receipt');
  });

  const body = good.batch ?? '';
  const receipt = good.receipt ?? '';
  const outside = { ...batch, until: id(3) };
  it.each([
    ['another row', { ...good, row: proofOf(2).row }, 'INCLUSION_INVALID 2 trail.path'],
    ['an edited row', { ...good, row: good.row.replace('"ok"', '"denied"') }, 'INCLUSION_INVALID 2 trail.path'],
    ['another place', { ...good, index: 2 }, 'INCLUSION_INVALID 2 trail.path'],
    ['a path that is cut off', { ...good, path: good.path.slice(1) }, 'INCLUSION_INVALID 2 trail.path'],
    ['a row out of the span of its batch', proofOf(3, outside), 'CONTENT_MISMATCH 2 trail.row'],
    ['a batch that is not logged', { ...good, batch: body.replace('"number":2', '"number":3') }, 'INCLUSION_INVALID 3 receipt.proof'],
    ['an entry of another kind', { ...good, receipt: receiptOf(body, EntryKind.block) }, 'INCLUSION_INVALID 2 receipt.proof'],
    ['a changed checkpoint', { ...good, receipt: receipt.replace('\n5\n', '\n6\n') }, 'CHECKPOINT_INVALID 2 checkpoint.signature'],
    ['a row in another form', { ...good, row: `${good.row} ` }, 'MALFORMED 0 trail.row'],
    ['a body in another form', { ...good, batch: `${body} ` }, 'MALFORMED 0 trail.body'],
    ['a receipt in another form', { ...good, receipt: `x${receipt}` }, 'MALFORMED 2 receipt'],
  ])('ATTACK %s', (_what, proof, finding) => expect(says(proof)).toBe(`TAMPERED, ${finding}`));

  it('ATTACK an inner node of the batch passes for no row', () => {
    const [node] = trailPath(leaves, 0).slice(-1);
    expect(says({ ...good, row: node?.toString('latin1') ?? '', index: 0, path: [] })).toBe('TAMPERED, MALFORMED 0 trail.row');
  });

  it('a log that the policy does not know proves nothing', () => {
    const other = parsePolicy(`log ${formatVkey(signer('other.example/h', 1).key)}\nquorum none\n`);
    expect(verifyTrailProof(good, other).findings).toMatchObject([{ code: 'CHECKPOINT_INVALID', field: 'checkpoint.origin' }]);
    expect(parseReceipt(receipt).index).toBe(2n);
  });
});

describe('the file of a proof', () => {
  const text = formatTrailProof(good);
  const fault = (changed: string): string => {
    try {
      parseTrailProof(changed);
      return 'accepted';
    } catch (error) {
      if (error instanceof FormatError) return error.field;
      throw error;
    }
  };

  it('reads what was written, also when it is set out in lines', () => {
    expect(parseTrailProof(text)).toEqual(good);
    expect(parseTrailProof(JSON.stringify(JSON.parse(text), null, 2))).toEqual(good);
    const open = { ...good, batch: null, index: null, path: [], receipt: null };
    expect(parseTrailProof(formatTrailProof(open))).toEqual(open);
  });

  it.each([
    ['a member twice', text.replace('{', '{"index":4,'), 'proof'],
    ['an unknown member', text.replace('{', '{"x":4,'), 'proof'],
    ['a second spelling', text.replace('"schema"', '"\\u0073chema"'), 'proof'],
    ['no JSON', text.slice(1), 'proof'],
    ['a list', '[]', 'proof'],
    ['too long', ' '.repeat(300_000), 'proof'],
    ['another schema', text.replace('proof/1', 'proof/2'), 'proof.schema'],
    ['no row', text.replace(/"row":"(?:[^"\\]|\\.)*",/, ''), 'proof.row'],
    ['a negative place', text.replace('"index":3', '"index":-1'), 'proof.index'],
    ['no path', text.replace(/"path":\[[^\]]*\]/, '"path":null'), 'proof.path'],
    ['a number in the path', text.replace(/"path":\[/, '"path":[1,'), 'proof.path'],
    ['a short hash', text.replace(/"path":\["..../, '"path":["'), 'proof.path'],
    ['no batch', text.replace(/"batch":"(?:[^"\\]|\\.)*"/, '"batch":1'), 'proof.batch'],
    ['no receipt', text.replace(/"receipt":"(?:[^"\\]|\\.)*"/, '"receipt":[]'), 'proof.receipt'],
  ])('is refused: %s', (_what, changed, field) => expect(fault(changed)).toBe(field));
});
