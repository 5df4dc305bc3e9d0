import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProofReport } from '../../src/ledger/core/proof-report';
import { checkpointText } from '../../src/ledger/core/checkpoint';
import { TrustedCheckpoints } from '../../src/ledger/core/trust';
import { verifyFiles } from '../../src/tools/verify-files';
import { cpuNow } from '../support/cpu-time';

interface Vectors {
  readonly policies: Readonly<Record<string, string>>;
  readonly vectors: readonly { readonly name: string; readonly policy: string; readonly file: string }[];
}

const { policies, vectors } = JSON.parse(readFileSync(join(__dirname, '../vectors/proofs.json'), 'utf8')) as Vectors;
const good = vectors.find(({ name }) => name === 'receipt');
let dir: string;
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-verifier-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

describe('hostile files for the offline verifier', () => {
  const bundle = '{"schema":"bjwt.bundle/1","origin":"x"';
  test.each([
    ['eight million empty objects', `{"schema":"bjwt.chain/1","blocks":[${'{},'.repeat(8_000_000)}{}]}`, 'chain'],
    ['spaces and six million empty texts', `{ "schema":"bjwt.chain/1","blocks":[${'"",'.repeat(6_000_000)}""]}`, 'chain'],
    ['a depth of twenty million', `${bundle},"a":${'['.repeat(20_000_000)}`, 'bundle'],
    ['a million members', `${bundle},${Array.from({ length: 1_000_000 }, (_none, at) => `"${at}":0`).join()}}`, 'bundle'],
    ['a text of twenty million escapes', `${bundle},"a":"${'\\n'.repeat(20_000_000)}"}`, 'bundle'],
    ['twenty million spaces', `${bundle}${' '.repeat(20_000_000)}}`, 'bundle'],
  ])(
    'ATTACK %s: MALFORMED within seconds, and the next file gets its verdict',
    (_what, text, field) => {
      const reports: ProofReport[] = [];
      const begin = cpuNow();
      const code = verifyFiles(
        {
          files: [file('hostile.json', text), file('good.txt', good?.file ?? '')],
          policy: file('policy.txt', policies[good?.policy ?? ''] ?? ''),
          consistency: [],
          keys: [],
          heads: [],
          allowUnwitnessed: false,
        },
        (_file, report) => reports.push(report),
        (message) => {
          throw new Error(message);
        },
      );
      expect(cpuNow() - begin).toBeLessThan(8_000);
      expect(code).toBe(1);
      expect(reports.map(({ verdict }) => verdict)).toEqual(['TAMPERED', 'VALID']);
      expect(reports[0]?.findings).toMatchObject([{ code: 'MALFORMED', field: expect.stringMatching(`^(${field}|file|recordId)$`) }]);
    },
    60_000,
  );
});

test('ATTACK a trust file of some ten thousand logs is read in seconds', () => {
  const noteOf = (at: number) =>
    `${checkpointText({ origin: `log/${at}`, size: 1n, root: Buffer.alloc(32) })}\n— k ${Buffer.alloc(5, 1).toString('base64')}\n`;
  const text = Array.from({ length: 40_000 }, (_none, at) => noteOf(at)).join('\n');
  const begin = cpuNow();
  expect(TrustedCheckpoints.parse(text).newest('log/39999')).toMatchObject({ size: 1n });
  expect(cpuNow() - begin).toBeLessThan(3_000);
  expect(() => TrustedCheckpoints.parse(`${text}\n${noteOf(7)}`)).toThrow('two checkpoints');
});
