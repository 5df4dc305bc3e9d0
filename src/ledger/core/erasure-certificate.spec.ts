import { bytesOf, ChainMaker, testRecordId } from '../../../test/reference/chain-maker';
import { flipped, stranger } from '../../../test/reference/chain-walk';
import { b64u, FormatError } from './bytes';
import { opening } from './content';
import { erasureText, ErasureStatement } from './erasure';
import { ErasureCertificate, readCertificate } from './erasure-certificate';

const [first, second] = [testRecordId(1001), testRecordId(1002)];

/** A chain with two records, and an ERASE block at height 3 whose certificate is given. */
function erased(scope: 'record' | 'patient'): { chain: ChainMaker; certificate: ErasureCertificate } {
  const chain = ChainMaker.withRecords(2);
  const target =
    scope === 'record' ? { erases: testRecordId(2), blockHash: chain.hashAt(2).toString('hex') } : { erases: null, blockHash: null };
  const statement = erasureText({ scope, ...target, reason: 'objection', approvedBy: [first, second] });
  const block = chain.add({ kind: 'erase', payload: Buffer.from(statement), refHash: chain.hashAt(scope === 'record' ? 2 : -1) });
  const certificate: ErasureCertificate = {
    schema: 'bjwt.erasure-certificate/1',
    origin: chain.origin,
    chainId: b64u(chain.chainId),
    recordId: block.recordId,
    version: block.version,
    statement,
    opening: b64u(opening(bytesOf('record key 3'))),
    header: b64u(block.header),
    attestation: block.attestation ?? '',
    key: chain.author.jwk,
  };
  return { chain, certificate };
}

const field = (value: unknown): string => {
  try {
    readCertificate(value);
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.field : String(error);
  }
};

it.each(['record', 'patient'] as const)('a certificate of a %s is checked without any key of the server', (scope) => {
  const { chain, certificate } = erased(scope);
  const found = readCertificate(JSON.parse(JSON.stringify(certificate)));
  expect(found.certificate).toEqual(certificate);
  expect(found.statement.scope).toBe(scope);
  expect(found.blockHash).toEqual(chain.hashAt(3));
  expect(found.header.refHash).toEqual(chain.hashAt(scope === 'record' ? 2 : -1));
});

describe('refuses', () => {
  const { chain, certificate } = erased('record');
  const other = erased('patient').certificate;
  const said = (change: Partial<ErasureStatement>): string =>
    erasureText({
      scope: 'record',
      erases: testRecordId(2),
      blockHash: chain.hashAt(2).toString('hex'),
      reason: 'objection',
      approvedBy: [first, second],
      ...change,
    });

  it.each<[string, object, string]>([
    ['another schema', { schema: 'x' }, 'certificate.schema'],
    ['an origin that is none', { origin: 'a b' }, 'certificate.origin'],
    ['another origin', { origin: 'other.example/ehr1' }, 'header.ledgerId'],
    ['another chain', { chainId: b64u(Buffer.alloc(16)) }, 'header.chainId'],
    ['another record id', { recordId: testRecordId(9) }, 'attestation.jti'],
    ['another version', { version: 2 }, 'attestation.ver'],
    ['a version that is none', { version: -1 }, 'certificate.version'],
    ['another reason', { statement: said({ reason: 'legal-obligation' }) }, 'header.contentCommit'],
    ['other people', { statement: said({ approvedBy: [second, first] }) }, 'header.contentCommit'],
    ['another opening', { opening: b64u(bytesOf('x')) }, 'header.contentCommit'],
    ['a header of another size', { header: b64u(Buffer.alloc(3)) }, 'certificate.header'],
    ['a header of the whole patient', { header: other.header }, 'header.contentCommit'],
    ['another attestation', { attestation: other.attestation }, 'attestation'],
    ['another key', { key: stranger.jwk }, 'header.authorKeyId'],
    ['a weak key', { key: { kty: 'OKP', crv: 'Ed25519', x: b64u(Buffer.from(`01${'00'.repeat(31)}`, 'hex')) } }, 'jwk.x'],
    ['no key', { key: null }, 'jwk'],
    ['no statement', { statement: undefined }, 'certificate.statement'],
  ])('%s', (_, change, at) => expect(field({ ...certificate, ...change })).toBe(at));

  it('what is no certificate at all', () => {
    for (const value of [null, undefined, 7, 'text', [], {}]) expect(field(value)).toBe('certificate.schema');
  });

  it('ATTACK the erasure of one record is turned into that of the whole patient', () => {
    const genesis = new ChainMaker(chain.origin, chain.chainId).hashAt(-1);
    const header = Buffer.from(certificate.header, 'base64url');
    genesis.copy(header, 242);
    expect(field({ ...certificate, header: b64u(header) })).toBe('header.refHash');
  });

  it('any changed byte of the header but those of height, time and ciphertextHash, which nobody signs', () => {
    const header = Buffer.from(certificate.header, 'base64url');
    for (let at = 0; at < header.length; at += 1) {
      const found = field({ ...certificate, header: b64u(flipped(header, at)) });
      if ((at >= 66 && at < 82) || (at >= 146 && at < 178)) continue; // the block hash covers them, and that is looked for in the chain
      expect([at, found]).not.toEqual([at, 'accepted']);
    }
  });
});
