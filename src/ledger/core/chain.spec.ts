import { ChainMaker, BlockPlan, bytesOf, testRecordId } from '../../../test/reference/chain-maker';
import { flipped, replaced, said, sealedWith, walk } from '../../../test/reference/chain-walk';
import { b64u } from './bytes';
import { StoredBlock, createChainVerifier } from './chain';
import { HEADER_BYTES, blockHash } from './header';
import { MAX_FINDINGS } from './verdict';

describe('an intact chain', () => {
  const chain = ChainMaker.withRecords(5);

  it('is VALID, and the report says what was seen', () => {
    expect(walk(chain)).toEqual({
      verdict: 'VALID',
      chainId: b64u(chain.chainId),
      blocks: 6,
      head: chain.head,
      findings: [],
      omitted: 0,
      erased: [],
    });
  });

  it('is VALID without a trusted head, without signatures, and with every kind of block', () => {
    const all = ChainMaker.withRecords(1);
    for (const kind of ['amendment', 'consent', 'link-to-foreign-chain', 'reseal', 'profile', 'answer', 'erase'] as const)
      all.add({ kind });
    expect(walk(all).verdict).toBe('VALID');
    expect(walk(all, all.blocks, null).verdict).toBe('VALID');
    expect(walk(all, all.blocks, all.head, { signatures: false, keyOf: () => undefined }).verdict).toBe('VALID');
  });

  it('lets the author of height 0 sign, having seen nothing, and any author have seen any block below', () => {
    const signed = new ChainMaker();
    signed.add({ kind: 'open-chain' });
    for (const saw of [-1, 0, 1, 0]) signed.add({ saw });
    expect(said(walk(signed))).toEqual([]);
  });

  it('opens contents when it has keys', () => {
    const blocks = chain.blocks.map((block) =>
      block.ciphertext === null ? block : { ...block, recordKey: bytesOf(`record key ${block.height}`) },
    );
    expect(walk(chain, blocks).verdict).toBe('VALID');
    const payload = Buffer.from(`{"resourceType":"Observation","id":"${testRecordId(2)}"}`);
    expect(walk(chain, replaced(blocks, 2, { payload })).verdict).toBe('VALID');
  });

  it('may be long, and asks for no more than the caller holds', () => {
    expect(walk(ChainMaker.withRecords(200)).verdict).toBe('VALID');
  });
});

describe('headers and links', () => {
  const chain = ChainMaker.withRecords(4);
  const middle = chain.blocks[2]!;

  it('every flipped byte of a header gives TAMPERED', () => {
    for (let at = 0; at < HEADER_BYTES; at += 1) {
      const report = walk(chain, replaced(chain.blocks, 2, { header: flipped(middle.header, at) }), null, { signatures: false });
      expect(report.verdict).toBe('TAMPERED');
      expect(said(report)).toContain('HEADER_MISMATCH blockHash@2');
    }
  });

  it.each([2, 4])('also when the stored hash of block %i is adjusted', (height) => {
    for (let at = 0; at < HEADER_BYTES; at += 1) {
      const header = flipped(chain.blocks[height]!.header, at);
      const report = walk(chain, replaced(chain.blocks, height, { header, blockHash: blockHash(header) }), chain.head, {
        signatures: false,
      });
      expect(report.verdict).toBe('TAMPERED');
      expect(said(report)).toContain(height === 4 ? 'HEAD_MISMATCH head.hash@4' : 'BROKEN_LINK header.prevHash@3');
    }
  });

  it.each<[string, Partial<StoredBlock>, string]>([
    ['stored hash', { blockHash: bytesOf('x') }, 'HEADER_MISMATCH blockHash@2'],
    ['stored link', { prevHash: bytesOf('x') }, 'HEADER_MISMATCH prevHash@2'],
  ])('a differing copy: %s', (_, change, finding) => expect(said(walk(chain, replaced(chain.blocks, 2, change)))).toEqual([finding]));

  it.each<[string, BlockPlan, string]>([
    ['another ledger', { header: { ledgerId: bytesOf('x') } }, 'HEADER_MISMATCH header.ledgerId@3'],
    ['another chain', { header: { chainId: Buffer.alloc(16) } }, 'HEADER_MISMATCH header.chainId@3'],
    ['another height', { header: { height: 9 } }, 'HEADER_MISMATCH header.height@3'],
    ['another link', { header: { prevHash: bytesOf('x') } }, 'BROKEN_LINK header.prevHash@3'],
  ])('a sealed block of %s', (_, plan, finding) => {
    const sealed = sealedWith(plan);
    const report = walk(sealed, replaced(sealed.blocks, 3, { prevHash: plan.header?.prevHash ?? sealed.hashAt(2) }));
    expect([report.verdict, said(report)]).toEqual(['TAMPERED', [finding]]);
  });

  it('the first block must stand on the genesis of its own chain', () => {
    const other = new ChainMaker(chain.origin, Buffer.alloc(16, 9));
    other.add({ kind: 'open-chain', payload: null, author: null, header: { chainId: chain.chainId } });
    expect(said(walk(chain, other.blocks, null))).toEqual(['BROKEN_LINK header.prevHash@0']);
  });

  it('ATTACK delete a middle block', () => {
    const report = walk(
      chain,
      chain.blocks.filter(({ height }) => height !== 2),
    );
    expect([report.verdict, said(report)]).toEqual(['TAMPERED', ['HEIGHT_GAP height@3', 'BROKEN_LINK header.prevHash@3']]);
  });

  it('ATTACK delete a middle block and close the gap in the columns', () => {
    const blocks = chain.blocks.filter(({ height }) => height !== 2).map((block, height) => ({ ...block, height }));
    expect(said(walk(chain, blocks))).toEqual(
      expect.arrayContaining(['HEADER_MISMATCH header.height@2', 'BROKEN_LINK header.prevHash@2', 'HEAD_MISMATCH head.height@4']),
    );
  });

  it('ATTACK reorder, and send a block twice', () => {
    const [a, b, c, d, e] = chain.blocks as [StoredBlock, StoredBlock, StoredBlock, StoredBlock, StoredBlock];
    expect(said(walk(chain, [a, b, d, c, e]))).toContain('HEIGHT_GAP height@3');
    expect(walk(chain, [a, b, d, c, e]).verdict).toBe('TAMPERED');
    expect(said(walk(chain, [a, b, c, c, d, e]))).toContain('HEIGHT_GAP height@2');
  });

  it('ATTACK truncate the tail, or the whole', () => {
    expect(said(walk(chain, chain.blocks.slice(0, 3)))).toEqual(['HEAD_MISMATCH head.height@4']);
    const nothing = walk(chain, []);
    expect([nothing.verdict, said(nothing), 'head' in nothing]).toEqual(['TAMPERED', ['HEAD_MISMATCH head.height@4'], false]);
  });

  it('blocks above the trusted head, and a head of wrong form, are not accepted', () => {
    expect(said(walk(chain, chain.blocks, { height: 3, hash: chain.hashAt(3) }))).toEqual(['HEAD_MISMATCH head.height@3']);
    expect(said(walk(chain, chain.blocks, { height: 4, hash: bytesOf('x') }))).toEqual(['HEAD_MISMATCH head.hash@4']);
    expect(said(walk(chain, chain.blocks, { height: 4, hash: Buffer.alloc(0) }))).toEqual(['HEAD_MISMATCH head.hash@4']);
  });

  it('ATTACK recompute the whole chain: the trusted head shows it', () => {
    const other = ChainMaker.withRecords(3);
    other.add({ payload: Buffer.from('{"changed":true}') });
    expect(said(walk(chain, other.blocks))).toEqual(['HEAD_MISMATCH head.hash@4']);
  });

  it('nothing at all is not VALID', () => {
    const report = walk(chain, [], null);
    expect([report.verdict, said(report), report.blocks]).toEqual(['INCOMPLETE', ['HEAD_MISMATCH head@0'], 0]);
  });
});

describe('hostile rows', () => {
  const chain = ChainMaker.withRecords(3);
  it.each<[string, unknown, string]>([
    ['height', -1, 'height'],
    ['height', 1.5, 'height'],
    ['height', 2 ** 60, 'height'],
    ['height', '2', 'height'],
    ['header', null, 'header'],
    ['header', 'text', 'header'],
    ['header', Buffer.alloc(0), 'header'],
    ['header', Buffer.alloc(HEADER_BYTES), 'header.label'],
    ['blockHash', Buffer.alloc(31), 'blockHash'],
    ['blockHash', null, 'blockHash'],
    ['prevHash', Buffer.alloc(33), 'prevHash'],
    ['recordId', 'Robert', 'recordId'],
    ['recordId', null, 'recordId'],
    ['version', 2 ** 32, 'version'],
    ['attestation', 7, 'attestation'],
    ['ciphertext', 'text', 'ciphertext'],
    ['recordKey', Buffer.alloc(16), 'recordKey'],
    ['payload', 'text', 'payload'],
  ])('%s = %p is MALFORMED, never an exception', (column, value, field) => {
    const report = walk(chain, replaced(chain.blocks, 2, { [column]: value }));
    expect(report.verdict).toBe('TAMPERED');
    expect(said(report)).toContain(`MALFORMED ${field}@2`);
    expect(report.blocks).toBe(4);
  });

  it('a huge height is a gap and costs nothing', () => {
    expect(said(walk(chain, replaced(chain.blocks, 3, { height: Number.MAX_SAFE_INTEGER })))).toContain(
      `HEIGHT_GAP height@${Number.MAX_SAFE_INTEGER}`,
    );
  });

  it('keeps a bounded number of findings and counts the others', () => {
    const verifier = createChainVerifier({ ledgerId: chain.ledgerId, chainId: chain.chainId, keyOf: () => undefined });
    const row: StoredBlock = { ...chain.blocks[1]!, header: Buffer.alloc(3) };
    for (let height = 0; height < 2 * MAX_FINDINGS; height += 1) verifier.push({ ...row, height });
    const report = verifier.finish(null);
    expect(report.findings).toHaveLength(MAX_FINDINGS);
    expect(report.findings.length + report.omitted).toBe(4 * MAX_FINDINGS); // wrong hash and wrong length, each
  });

  it('a walk ends once, and its options must have the right sizes', () => {
    const options = { ledgerId: chain.ledgerId, chainId: chain.chainId, keyOf: () => undefined };
    const verifier = createChainVerifier(options);
    verifier.finish(null);
    expect(() => verifier.push(chain.blocks[0]!)).toThrow('finished');
    expect(() => verifier.finish(null)).toThrow('finished');
    expect(() => createChainVerifier({ ...options, chainId: Buffer.alloc(15) })).toThrow(RangeError);
  });
});

describe('time', () => {
  const MINUTES = 60_000;
  const start = 1_760_000_000_000;
  const at = (minutes: number): Partial<BlockPlan> => ({
    iat: (start + minutes * MINUTES) / 1000,
    header: { sealedAt: start + minutes * MINUTES },
  });
  const sealedAtMinutes = (...minutes: number[]): string[] => {
    const chain = ChainMaker.withRecords(1);
    for (const item of minutes) chain.add(at(item));
    return said(walk(chain));
  };

  it('clocks may be ten minutes off', () => {
    expect(sealedAtMinutes(20, 10, 15, 60, 50)).toEqual([]);
  });

  it('ATTACK backdate a block', () => {
    expect(sealedAtMinutes(60, 49, 60)).toEqual(['HEADER_MISMATCH header.sealedAt@3']);
  });

  it('ATTACK backdate in small steps', () => {
    expect(sealedAtMinutes(60, 52, 44, 36)).toEqual(['HEADER_MISMATCH header.sealedAt@4', 'HEADER_MISMATCH header.sealedAt@5']);
  });

  it('ATTACK seal an old or a future signature', () => {
    const sealed = (iat: number): string[] => said(walk(sealedWith({ iat: start / 1000 + iat })));
    expect(sealed(600)).toEqual([]);
    for (const off of [-601, 601, -86_400]) expect(sealed(off)).toEqual(['ATTESTATION_INVALID attestation.iat@3']);
  });
});

describe('the order of the log', () => {
  const chain = ChainMaker.withRecords(4);
  const { kid } = chain.author;
  /** Height h of the chain is leaf 10 h. */
  const ordered = (registered: number | undefined, revoked: number | undefined): string[] => {
    const events = (place: number | undefined) => (asked: string) => (asked === kid ? place : undefined);
    const placeOf = (hash: Buffer): number => 10 * chain.blocks.findIndex((block) => block.blockHash.equals(hash));
    return said(
      walk(chain, chain.blocks, chain.head, { keyOrder: { placeOf, registeredAt: events(registered), revokedAt: events(revoked) } }),
    );
  };

  it('what a key signed before its revocation stays valid', () => {
    expect(ordered(5, 45)).toEqual([]);
  });

  it('ATTACK sign with a revoked key', () => {
    expect(ordered(5, 25)).toEqual(['KEY_REVOKED header.authorKeyId@3', 'KEY_REVOKED header.authorKeyId@4']);
  });

  it('a block that is in no log came after every revocation', () => {
    const keyOrder = { placeOf: () => undefined, registeredAt: () => 1, revokedAt: () => 1e9 };
    expect(said(walk(chain, chain.blocks, chain.head, { keyOrder }))).toHaveLength(4);
  });

  it('ATTACK register the key after the block', () => {
    expect(ordered(25, undefined)).toEqual(['KEY_UNKNOWN header.authorKeyId@1', 'KEY_UNKNOWN header.authorKeyId@2']);
  });
});
