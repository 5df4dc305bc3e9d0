import fc from 'fast-check';
import { sha256 } from '../../src/ledger/core/bytes';
import { createChainVerifier } from '../../src/ledger/core/chain';
import { contentCommit, opening } from '../../src/ledger/core/content';
import { BlockHeader, BlockKind, blockHash, decodeHeader, encodeHeader, genesisHash, ledgerId } from '../../src/ledger/core/header';
import {
  MicroHeader,
  microBackdatedAt,
  microClockDiffers,
  microKeyCode,
  microBlockHash,
  microBrokenAt,
  microCommit,
  microErased,
  microGenesis,
  microHeader,
  microLedgerId,
  microOpening,
} from './micro-ledger';
import { microSha256 } from './micro-ledger';
import { ChainMaker, bytesOf } from './chain-maker';
import { said, sealedWith, stranger, walk } from './chain-walk';

const bytes = (size: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((array) => Buffer.from(array));
const anyHeader: fc.Arbitrary<BlockHeader> = fc.record({
  kind: fc.constantFrom(...Object.values(BlockKind)),
  ledgerId: bytes(32),
  chainId: bytes(16),
  height: fc.maxSafeNat(),
  sealedAt: fc.maxSafeNat(),
  prevHash: bytes(32),
  contentCommit: bytes(32),
  ciphertextHash: bytes(32),
  attestationHash: bytes(32),
  authorKeyId: bytes(32),
  refHash: bytes(32),
});
const micro = (header: BlockHeader): MicroHeader => ({
  kind: header.kind,
  ledgerId: header.ledgerId.toString('hex'),
  chainId: header.chainId.toString('hex'),
  height: header.height,
  sealedAt: header.sealedAt,
  prevHash: header.prevHash.toString('hex'),
  contentCommit: header.contentCommit.toString('hex'),
  ciphertextHash: header.ciphertextHash.toString('hex'),
  attestationHash: header.attestationHash.toString('hex'),
  authorKeyId: header.authorKeyId.toString('hex'),
  refHash: header.refHash.toString('hex'),
});

describe('the ledger core agrees with a second implementation', () => {
  it('headers and block hashes', () => {
    fc.assert(
      fc.property(anyHeader, (header) => {
        const encoded = encodeHeader(header);
        expect(encoded.toString('hex')).toBe(microHeader(micro(header)));
        expect(blockHash(encoded).toString('hex')).toBe(microBlockHash(micro(header)));
        expect(decodeHeader(encoded)).toEqual(header);
      }),
    );
  });

  it('what decodeHeader accepts encodes to the same bytes', () => {
    const nearly = fc.tuple(anyHeader, fc.nat(273), fc.nat(255)).map(([header, at, byte]) => {
      const encoded = encodeHeader(header);
      encoded[at] = byte;
      return encoded;
    });
    fc.assert(
      fc.property(nearly, (candidate) => {
        let header: BlockHeader;
        try {
          header = decodeHeader(candidate);
        } catch {
          return;
        }
        expect(encodeHeader(header)).toEqual(candidate);
      }),
    );
  });

  it('openings, commitments, ledger ids and genesis', () => {
    fc.assert(
      fc.property(bytes(32), bytes(16), fc.uint8Array({ maxLength: 300 }), (key, chainId, array) => {
        const payload = Buffer.from(array);
        const open = opening(key);
        expect(open.toString('hex')).toBe(microOpening(key.toString('hex')));
        expect(contentCommit(open, payload).toString('hex')).toBe(microCommit(open.toString('hex'), payload.toString('hex')));
        expect(sha256(payload).toString('hex')).toBe(microSha256(payload.toString('hex')));
        expect(genesisHash(key, chainId).toString('hex')).toBe(microGenesis(key.toString('hex'), chainId.toString('hex')));
      }),
    );
    expect(ledgerId('ledger.hospital-a.example/ehr1').toString('hex')).toBe(microLedgerId('ledger.hospital-a.example/ehr1'));
  });

  it('where a chain is broken', () => {
    const plan = fc.record({
      length: fc.integer({ min: 1, max: 8 }),
      ledger: bytes(32),
      chainId: bytes(16),
      at: fc.nat(7),
      damage: fc.option(bytes(32)),
    });
    fc.assert(
      fc.property(plan, ({ length, ledger, chainId, at, damage }) => {
        const headers: BlockHeader[] = [];
        let prevHash = genesisHash(ledger, chainId);
        for (let height = 0; height < length; height += 1) {
          const link = damage !== null && height === at ? damage : prevHash;
          const rest = { contentCommit: ledger, ciphertextHash: ledger, attestationHash: ledger, authorKeyId: ledger, refHash: ledger };
          headers.push({ kind: BlockKind.record, ledgerId: ledger, chainId, height, sealedAt: height, prevHash: link, ...rest });
          prevHash = blockHash(encodeHeader(headers[height]!));
        }
        const verifier = createChainVerifier({ ledgerId: ledger, chainId, keyOf: () => undefined });
        for (const header of headers) {
          const encoded = encodeHeader(header);
          const recordId = '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0';
          verifier.push({
            height: header.height,
            blockHash: blockHash(encoded),
            header: encoded,
            recordId,
            version: 1,
            attestation: null,
            ciphertext: null,
          });
        }
        const broken = verifier.finish(null).findings.flatMap(({ code, height }) => (code === 'BROKEN_LINK' ? [height] : []));
        expect(broken).toEqual(microBrokenAt(ledger.toString('hex'), chainId.toString('hex'), headers.map(micro)));
      }),
    );
  });

  it('which missing contents are erased, and by which block', () => {
    const step = fc.record({ erases: fc.option(fc.integer({ min: -2, max: 9 })), gone: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        const chain = ChainMaker.withRecords(0);
        for (const { erases } of steps) {
          // -1 is the genesis hash, a height that does not exist yet or -2 is the hash of nothing.
          const target = erases !== null && erases >= -1 && erases < chain.blocks.length ? chain.hashAt(erases) : bytesOf('nothing');
          chain.add(erases === null ? {} : { kind: 'erase', refHash: target });
        }
        const gone = [false, ...steps.map((item) => item.gone)];
        const blocks = chain.blocks.map((block) => (gone[block.height] ? { ...block, ciphertext: null } : block));
        const report = walk(chain, blocks);
        const headers = chain.blocks.map((block) => micro(decodeHeader(block.header)));
        const expected = microErased(chain.ledgerId.toString('hex'), chain.chainId.toString('hex'), headers, gone);
        expect(report.findings.map(({ height }) => height)).toEqual(expected.missing);
        expect(report.erased.map(({ height, erasedBy }) => `${height} by ${erasedBy}`).sort()).toEqual(expected.erased.sort());
        expect(report.verdict).toBe(expected.missing.length > 0 ? 'INCOMPLETE' : expected.erased.length > 0 ? 'ERASED' : 'VALID');
      }),
    );
  });

  it('which blocks are backdated', () => {
    const times = fc.array(fc.integer({ min: 0, max: 3_000_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(times, (sealed) => {
        const chain = new ChainMaker();
        for (const sealedAt of sealed) chain.add({ kind: 'open-chain', payload: null, author: null, header: { sealedAt } });
        const late = walk(chain).findings.flatMap(({ field, height }) => (field === 'header.sealedAt' ? [height] : []));
        expect(late).toEqual(microBackdatedAt(chain.blocks.map((block) => micro(decodeHeader(block.header)))));
      }),
    );
  });

  it('whether the clocks of author and server agree', () => {
    const base = 1_760_000_000;
    const edge = fc.constantFrom(-600, 600).chain((off) => fc.integer({ min: off - 1, max: off + 1 }));
    fc.assert(
      fc.property(fc.oneof(edge, fc.integer({ min: -2000, max: 2000 })), fc.nat(999), (off, ms) => {
        const chain = sealedWith({ iat: base + off, header: { sealedAt: base * 1000 + ms } });
        expect(said(walk(chain))).toEqual(microClockDiffers(base + off, base * 1000 + ms) ? ['ATTESTATION_INVALID attestation.iat@3'] : []);
      }),
    );
  });

  it('when a key counts', () => {
    const place = fc.option(fc.nat(6));
    const chain = sealedWith({ author: stranger });
    fc.assert(
      fc.property(place, place, place, (registered, revoked, at) => {
        fc.pre(registered === null || revoked === null || registered < revoked);
        const number = (value: number | null): number | undefined => value ?? undefined;
        const events = (value: number | null) => (kid: string) => (kid === stranger.kid ? number(value) : undefined);
        const keyOrder = {
          placeOf: (hash: Buffer) => (hash.equals(chain.head.hash) ? number(at) : 0),
          registeredAt: events(registered),
          revokedAt: events(revoked),
        };
        const keyOf = (kid: string) => (kid === stranger.kid ? stranger.jwk : chain.author.jwk);
        const code = microKeyCode({ registered, revoked }, at);
        expect(said(walk(chain, chain.blocks, chain.head, { keyOf, keyOrder }))).toEqual(
          code === null ? [] : [`${code} header.authorKeyId@3`],
        );
      }),
    );
  });
});
