import { ChainMaker, BlockPlan, bytesOf, testRecordId } from '../../../test/reference/chain-maker';
import { flipped, replaced, said, sealedWith, stranger, walk } from '../../../test/reference/chain-walk';
import { ZERO_HASH, b64u, sha256 } from './bytes';
import { StoredBlock } from './chain';
import { PublicJwk } from './jwk';

describe('contents', () => {
  const chain = ChainMaker.withRecords(4);
  const [, , second, third] = chain.blocks as [StoredBlock, StoredBlock, StoredBlock, StoredBlock];
  const recordKey = bytesOf('record key 2');

  it.each<[string, Partial<StoredBlock>, string]>([
    ['ATTACK edit a ciphertext', { ciphertext: flipped(second.ciphertext!, 20) }, 'CIPHERTEXT_MISMATCH ciphertext@2'],
    ['ATTACK another record key', { recordKey: bytesOf('other') }, 'CONTENT_MISMATCH ciphertext@2'],
    ['ATTACK another payload', { recordKey, payload: Buffer.from('{}') }, 'CONTENT_MISMATCH payload@2'],
    ['ATTACK another version', { recordKey, version: 2 }, 'CONTENT_MISMATCH ciphertext@2'],
    ['ATTACK another record id', { recordKey, recordId: testRecordId(3) }, 'CONTENT_MISMATCH ciphertext@2'],
  ])('%s', (_, change, finding) => {
    const report = walk(chain, replaced(chain.blocks, 2, change));
    expect(report.verdict).toBe('TAMPERED');
    expect(said(report)).toContain(finding);
    expect(report.findings.every(({ height }) => height === 2)).toBe(true);
  });

  it('ATTACK swap two ciphertexts', () => {
    const blocks = replaced(replaced(chain.blocks, 2, { ciphertext: third.ciphertext }), 3, { ciphertext: second.ciphertext });
    expect(said(walk(chain, blocks))).toEqual(['CIPHERTEXT_MISMATCH ciphertext@2', 'CIPHERTEXT_MISMATCH ciphertext@3']);
  });

  it('ATTACK a sealed commitment that is not that of the ciphertext', () => {
    const lying = sealedWith({ header: { contentCommit: bytesOf('other') } });
    const report = walk(lying, replaced(lying.blocks, 3, { recordKey: bytesOf('record key 3') }));
    expect(said(report)).toEqual(['CONTENT_MISMATCH header.contentCommit@3', 'ATTESTATION_INVALID attestation.cmt@3']);
  });

  it('a content put behind a block that has none', () => {
    expect(said(walk(chain, replaced(chain.blocks, 0, { ciphertext: second.ciphertext })))).toEqual(['CIPHERTEXT_MISMATCH ciphertext@0']);
  });

  it.each<[string, BlockPlan, string]>([
    ['a record without content', { payload: null }, 'MALFORMED header.contentCommit@3'],
    ['an erasure without content', { kind: 'erase', payload: null }, 'MALFORMED header.contentCommit@3'],
    ['a commitment without ciphertext', { header: { ciphertextHash: ZERO_HASH } }, 'MALFORMED header.ciphertextHash@3'],
    ['a ciphertext without commitment', { header: { contentCommit: ZERO_HASH } }, 'MALFORMED header.contentCommit@3'],
  ])('%s', (_, plan, finding) => {
    const report = walk(sealedWith(plan));
    expect(report.verdict).toBe('TAMPERED');
    expect(said(report)).toContain(finding);
  });
});

describe('erasure', () => {
  it('a missing ciphertext alone is INCOMPLETE', () => {
    const chain = ChainMaker.withRecords(4);
    const report = walk(chain, replaced(chain.blocks, 2, { ciphertext: null }));
    expect(report.verdict).toBe('INCOMPLETE');
    expect(report.findings).toEqual([{ code: 'CIPHERTEXT_MISMATCH', height: 2, field: 'ciphertext', recordId: testRecordId(2) }]);
  });

  it('with an ERASE block that speaks of it the chain still verifies, ERASED', () => {
    const chain = ChainMaker.withRecords(4);
    chain.add({ kind: 'erase', refHash: chain.hashAt(2) });
    expect(walk(chain).verdict).toBe('VALID'); // sealed, not yet deleted
    const report = walk(chain, replaced(chain.blocks, 2, { ciphertext: null }));
    expect(report).toMatchObject({ verdict: 'ERASED', findings: [], erased: [{ height: 2, recordId: testRecordId(2), erasedBy: 5 }] });
  });

  it('excuses only the block it names', () => {
    const chain = ChainMaker.withRecords(4);
    chain.add({ kind: 'erase', refHash: chain.hashAt(2) });
    const blocks = replaced(replaced(chain.blocks, 2, { ciphertext: null }), 3, { ciphertext: null });
    const report = walk(chain, blocks);
    expect(report.verdict).toBe('INCOMPLETE');
    expect(said(report)).toEqual(['CIPHERTEXT_MISMATCH ciphertext@3']);
    expect(report.erased).toHaveLength(1);
  });

  it('only a block of kind erase excuses', () => {
    const chain = ChainMaker.withRecords(4);
    chain.add({ kind: 'amendment', refHash: chain.hashAt(2) });
    expect(walk(chain, replaced(chain.blocks, 2, { ciphertext: null })).verdict).toBe('INCOMPLETE');
  });

  it('ATTACK a forged ERASE block excuses nothing', () => {
    const chain = ChainMaker.withRecords(4);
    chain.add({ kind: 'erase', refHash: chain.hashAt(2), author: stranger });
    const report = walk(chain, replaced(chain.blocks, 2, { ciphertext: null }));
    expect(report.verdict).toBe('TAMPERED');
    expect(said(report)).toEqual(['CIPHERTEXT_MISMATCH ciphertext@2', 'KEY_UNKNOWN header.authorKeyId@5']);
  });
});

describe('erasure of a whole patient', () => {
  const without = (chain: ChainMaker, ...heights: number[]): StoredBlock[] =>
    chain.blocks.map((block) => (heights.includes(block.height) ? { ...block, ciphertext: null } : block));
  const erasedAll = (): ChainMaker => {
    const chain = ChainMaker.withRecords(3);
    chain.add({ kind: 'erase', refHash: chain.hashAt(-1) });
    return chain;
  };

  it('an ERASE block that refers to the genesis hash excuses every missing content below it', () => {
    const chain = erasedAll();
    expect(walk(chain).verdict).toBe('VALID'); // sealed, not yet deleted
    const report = walk(chain, without(chain, 1, 2, 3));
    expect([report.verdict, said(report)]).toEqual(['ERASED', []]);
    expect(report.erased.map(({ height, erasedBy }) => [height, erasedBy])).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
    ]);
    expect(walk(chain, without(chain, 2)).erased.map(({ height }) => height)).toEqual([2]);
  });

  it('it excuses neither its own content nor what comes after', () => {
    const chain = erasedAll();
    chain.add();
    const report = walk(chain, without(chain, 1, 2, 3, 4, 5));
    expect([report.verdict, said(report)]).toEqual([
      'INCOMPLETE',
      ['CIPHERTEXT_MISMATCH ciphertext@4', 'CIPHERTEXT_MISMATCH ciphertext@5'],
    ]);
  });

  it('what one record’s ERASE block excused already is counted once; that block’s own content is excused too', () => {
    const chain = ChainMaker.withRecords(3);
    chain.add({ kind: 'erase', refHash: chain.hashAt(2) });
    chain.add({ kind: 'erase', refHash: chain.hashAt(-1) });
    const report = walk(chain, without(chain, 1, 2, 3, 4));
    expect(report.verdict).toBe('ERASED');
    expect(report.erased.map(({ height, erasedBy }) => [height, erasedBy])).toEqual([
      [2, 4],
      [1, 5],
      [3, 5],
      [4, 5],
    ]);
  });

  it.each<[string, (chain: ChainMaker) => BlockPlan]>([
    ['of another chain', (chain) => ({ refHash: new ChainMaker(chain.origin, Buffer.alloc(16, 9)).hashAt(-1) })],
    ['of another hospital', (chain) => ({ refHash: new ChainMaker('other.example/ehr1', chain.chainId).hashAt(-1) })],
    ['of zeros', () => ({})],
  ])('the genesis hash %s excuses nothing', (_, plan) => {
    const chain = ChainMaker.withRecords(2);
    chain.add({ kind: 'erase', ...plan(chain) });
    expect(walk(chain, without(chain, 1)).verdict).toBe('INCOMPLETE');
  });

  it('no other kind of block may do it', () => {
    const chain = ChainMaker.withRecords(2);
    for (const kind of ['amendment', 'reseal', 'link-to-foreign-chain'] as const) chain.add({ kind, refHash: chain.hashAt(-1) });
    expect(walk(chain, without(chain, 1)).verdict).toBe('INCOMPLETE');
  });

  it('ATTACK a forged ERASE block for the whole chain excuses nothing', () => {
    const chain = ChainMaker.withRecords(2);
    chain.add({ kind: 'erase', refHash: chain.hashAt(-1), author: stranger });
    const report = walk(chain, without(chain, 1, 2));
    expect(report.verdict).toBe('TAMPERED');
    expect(said(report)).toEqual([
      'CIPHERTEXT_MISMATCH ciphertext@1',
      'CIPHERTEXT_MISMATCH ciphertext@2',
      'KEY_UNKNOWN header.authorKeyId@3',
    ]);
  });
});

describe('attestations', () => {
  const chain = ChainMaker.withRecords(4);
  const jws = chain.blocks[2]!.attestation!;
  /** Puts an attestation into the last block and binds it into its header: what only a dishonest sealer can do. */
  const sealedOver = (attestation: string, plan: BlockPlan = {}): string[] => {
    const sealed = sealedWith({ ...plan, header: { attestationHash: sha256(attestation), ...plan.header } });
    const report = walk(sealed, replaced(sealed.blocks, 3, { attestation }));
    expect(report.verdict).toBe('TAMPERED');
    return said(report);
  };

  it.each<[string, string | null]>([
    ['edit it', `${jws.slice(0, -1)}_`],
    ['take another', chain.blocks[3]!.attestation],
    ['delete it', null],
  ])('ATTACK %s', (_, attestation) => {
    const report = walk(chain, replaced(chain.blocks, 2, { attestation }));
    expect([report.verdict, said(report)]).toEqual(['TAMPERED', ['ATTESTATION_INVALID attestation@2']]);
  });

  it('ATTACK replay it for another record', () => {
    const bound = (claim: string): string => `ATTESTATION_INVALID attestation.${claim}@3`;
    expect(sealedOver(jws)).toEqual([bound('jti'), bound('cmt')]);
  });

  it('ATTACK replay it in another version', () => {
    expect(said(walk(chain, replaced(chain.blocks, 2, { version: 2 })))).toEqual(['ATTESTATION_INVALID attestation.ver@2']);
  });

  it('ATTACK replay it as another kind', () => {
    expect(said(walk(sealedWith({ header: { kind: 9 } })))).toEqual(['ATTESTATION_INVALID attestation.knd@3']);
  });

  it('ATTACK replay it in another chain or hospital', () => {
    const patient = new ChainMaker(chain.origin, Buffer.alloc(16, 9));
    const hospital = new ChainMaker('ledger.hospital-b.example/ehr1');
    for (const other of [patient, hospital]) {
      other.add({ kind: 'open-chain', payload: null, author: null });
      for (let n = 0; n < 3; n += 1) other.add();
    }
    const claims = (from: ChainMaker): string[] =>
      sealedOver(from.blocks[3]!.attestation!).map((finding) => finding.replace(/^.*\.(\w+)@3$/, '$1'));
    expect(claims(patient)).toEqual(['sub', 'seen']);
    expect(claims(hospital)).toEqual(['iss', 'seen']);
  });

  it('ATTACK insert a block beneath what the author saw', () => {
    const honest = ChainMaker.withRecords(3);
    const seen = honest.blocks[3]!.attestation!;
    const altered = ChainMaker.withRecords(1);
    altered.add({ payload: Buffer.from('{"phantom":true}') });
    altered.add({ header: { attestationHash: sha256(seen) } });
    expect(said(walk(altered, replaced(altered.blocks, 3, { attestation: seen })))).toEqual(['ATTESTATION_INVALID attestation.seen@3']);
  });

  it('an author cannot have seen the block itself or one above', () => {
    const ahead = ChainMaker.withRecords(4);
    const early = ahead.blocks[4]!.attestation!; // saw block 3
    expect(sealedOver(early)).toContain('ATTESTATION_INVALID attestation.seen@3');
  });

  it('ATTACK name another key in the header', () => {
    expect(said(walk(sealedWith({ header: { authorKeyId: bytesOf('x') } })))).toEqual(['ATTESTATION_INVALID attestation.kid@3']);
  });

  it('only open-chain may go unsigned', () => {
    expect(said(walk(sealedWith({ author: null })))).toEqual(['ATTESTATION_INVALID attestation@3']);
    expect(said(walk(sealedWith({ kind: 'reseal', payload: null, author: null })))).toEqual(['ATTESTATION_INVALID attestation@3']);
  });

  it('ATTACK sign with an unregistered key', () => {
    const sealed = sealedWith({ author: stranger });
    expect(said(walk(sealed))).toEqual(['KEY_UNKNOWN header.authorKeyId@3']);
    expect(said(walk(sealed, sealed.blocks, sealed.head, { keyOf: () => sealed.author.jwk }))).toEqual([
      'KEY_UNKNOWN header.authorKeyId@3',
    ]);
    expect(walk(sealed, sealed.blocks, sealed.head, { signatures: false }).verdict).toBe('VALID');
  });

  it('ATTACK weak Ed25519 key', () => {
    const x = b64u(Buffer.from(`01${'00'.repeat(31)}`, 'hex'));
    const keyOf = (): PublicJwk => ({ kty: 'OKP', crv: 'Ed25519', x });
    expect(said(walk(chain, chain.blocks, chain.head, { keyOf }))).toContain('ATTESTATION_INVALID jwk.x@1');
  });

  it('ATTACK a signature that does not fit, bound into the header', () => {
    const sealed = sealedWith({});
    const [head, body] = sealed.blocks[3]!.attestation!.split('.') as [string, string];
    expect(sealedOver(`${head}.${body}.${b64u(Buffer.alloc(64, 1))}`)).toEqual(['ATTESTATION_INVALID attestation.signature@3']);
  });

  it('ATTACK a text that is no attestation, bound into the header', () => {
    for (const text of ['', 'x', 'é', 'a.b.c', '{}', '.'.repeat(5000)])
      expect(sealedOver(text)[0]).toMatch(/^ATTESTATION_INVALID attestation.*@3$/);
  });

  it('after a gap what the author saw is not held against the blocks that are missing', () => {
    const report = walk(chain, chain.blocks.slice(2));
    expect(said(report)).toEqual(['HEIGHT_GAP height@2', 'BROKEN_LINK header.prevHash@2']);
  });
});
