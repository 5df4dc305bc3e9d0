import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatBundle } from '../../src/ledger/core/bundle';
import { sha256 } from '../../src/ledger/core/bytes';
import { BlockKind } from '../../src/ledger/core/header';
import { parsePolicy } from '../../src/ledger/core/policy';
import { verifyProofFile } from '../../src/ledger/core/proof-file';
import { parseReceipt } from '../../src/ledger/core/receipt';

// The worked examples are read out of the page itself: an example that is wrong would mislead whoever writes a second verifier.
const page = readFileSync(join(__dirname, '../../docs/ledger-format.md'), 'utf8');
const [, chain = '', log = ''] =
  /## 9\. Worked example\n([\s\S]*?)## 10\.[\s\S]*## 16\. Worked example of a log\n([\s\S]*)/.exec(page) ?? [];
const fences = [...log.matchAll(/```\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
const [values = '', policyText = '', receipt = ''] = fences;
const valueOf = (text: string, name: string): string => new RegExp(`^ *${name} +([^ \\n]+)`, 'm').exec(text)?.[1] ?? '';
const policy = parsePolicy(policyText);
const verdictOf = (text: string, under = policy) => {
  const { verdict, findings } = verifyProofFile(Buffer.from(text), { policy: under });
  return [verdict, ...findings.map(({ code, field }) => `${code} ${field}`)];
};

test('the receipt of the page is valid, and its variants are what the page says', () => {
  expect(verdictOf(receipt)).toEqual(['VALID']);
  expect(verdictOf(receipt.replace('index 1', 'index 0'))).toEqual(['TAMPERED', 'INCLUSION_INVALID receipt.proof']);
  expect(verdictOf(receipt.replace(/— witness.*\n/, ''))).toEqual(['VALID_UNWITNESSED']);
});

test('the hashes of the page are those of RFC 6962', () => {
  const leaf = (n: number): Buffer => sha256(Buffer.concat([Buffer.of(0), Buffer.from(valueOf(values, `entry ${n}`), 'hex')]));
  expect([leaf(0), leaf(1)].map((hash) => hash.toString('hex'))).toEqual([valueOf(values, 'leaf 0'), valueOf(values, 'leaf 1')]);
  expect(sha256(Buffer.concat([Buffer.of(1), leaf(0), leaf(1)])).toString('hex')).toBe(valueOf(values, 'root'));
  const { extra, checkpoint } = parseReceipt(receipt);
  expect(checkpoint.split('\n')[2]).toBe(Buffer.from(valueOf(values, 'root'), 'hex').toString('base64'));
  expect(valueOf(values, 'entry 1').slice(34)).toBe(sha256(extra ?? '').toString('hex'));
  expect(extra?.[16]).toBe(BlockKind.record);
});

test('the bundle that the page describes is valid', () => {
  const { extra = Buffer.alloc(0) } = parseReceipt(receipt);
  const [, ...parts] = /^(eyJhbG\S+\.)\n(eyJ\S+\.)\n(\S+)$/m.exec(chain) ?? [];
  const bundle = formatBundle({
    origin: valueOf(chain, 'origin'),
    recordId: /recordId `([0-9a-f-]+)`/.exec(chain)?.[1] ?? '',
    version: 1,
    payload: Buffer.from(valueOf(chain, 'payload')),
    opening: Buffer.from(valueOf(chain, 'opening'), 'hex'),
    header: extra,
    attestation: parts.join(''),
    author: { kid: valueOf(chain, 'kid'), x: valueOf(chain, 'x'), custody: 'server' },
    receipt,
  });
  expect(verdictOf(bundle)).toEqual(['VALID']);
  expect(verdictOf(bundle.replace(valueOf(chain, 'x'), 'A'.repeat(43)))).toEqual(['TAMPERED', 'ATTESTATION_INVALID jwk.x']);
});
