import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseHead } from '../../src/ledger/core/chain-export';
import { parsePolicy } from '../../src/ledger/core/policy';
import { verifyProofFile } from '../../src/ledger/core/proof-file';
import { TrustedCheckpoints } from '../../src/ledger/core/trust';
import { parseAddCheckpoint } from '../../src/ledger/core/witness-protocol';
import { type ProofVector, proofVectors } from '../support/proof-vectors';

interface VectorFile {
  readonly policies: Readonly<Record<string, string>>;
  readonly vectors: readonly ProofVector[];
}

const text = readFileSync(join(__dirname, '../vectors/proofs.json'), 'utf8');
const { policies, vectors } = JSON.parse(text) as VectorFile;

test('the committed vectors are those that the format gives', () => {
  expect(`${JSON.stringify(proofVectors(), null, 1)}\n`).toBe(text);
  expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
});

test.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
  const { trust, consistency = [], heads = [], keys = [] } = vector;
  const report = verifyProofFile(Buffer.from(vector.file, 'utf8'), {
    policy: parsePolicy(policies[vector.policy] ?? ''),
    consistency: consistency.map(parseAddCheckpoint),
    heads: heads.flatMap((head) => parseHead(head) ?? []),
    ...(trust === undefined ? {} : { trust: TrustedCheckpoints.parse(trust) }),
    ...(keys.length === 0 ? {} : { keys: new Map(keys.map((key) => keyOf(key))) }),
  });
  const findings = report.findings.map(({ code, field, height }) => `${code} ${field} ${height ?? '-'}`);
  expect({ verdict: report.verdict, findings }).toEqual({ verdict: vector.verdict, findings: vector.findings });
});

function keyOf(text: string): [string, { kty: 'OKP'; crv: 'Ed25519'; x: string }] {
  const [kid = '', x = ''] = text.split(':');
  return [kid, { kty: 'OKP', crv: 'Ed25519', x }];
}
