import { generateKeyPairSync } from 'node:crypto';
import { checkpointText } from './checkpoint';
import { formatIncarnation, type Incarnation, parseIncarnation } from './incarnation';
import { formatNote, signNote } from './note';
import { noteKey } from './vkey';

function checkpointOf(origin: string): string {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = noteKey(origin, 1, Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url'));
  const text = checkpointText({ origin, size: 9n, root: Buffer.alloc(32, 1) });
  return formatNote({ text, signatures: [signNote(text, { key, privateKey })] });
}

const good: Incarnation = {
  origin: 'ledger.example/h/2',
  formerOrigin: 'ledger.example/h',
  survivors: 7n,
  checkpoint: checkpointOf('ledger.example/h'),
};

test('it prints and reads back, to the byte', () => {
  const text = formatIncarnation(good);
  expect(text).toBe(`bjwt-ehr/inc/v1\nledger.example/h/2\nledger.example/h\n7\n\n${good.checkpoint}`);
  expect(parseIncarnation(text)).toEqual(good);
  expect(formatIncarnation(parseIncarnation(text))).toBe(text);
});

test.each([
  ['another label', (text: string) => text.replace('inc/v1', 'inc/v2')],
  ['a further line', (text: string) => text.replace('\n7\n', '\n7\nmore\n')],
  ['a line too few', (text: string) => text.replace('\n7\n', '\n')],
  ['leading zeros', (text: string) => text.replace('\n7\n', '\n07\n')],
  ['the new log is the former', (text: string) => text.replace('h/2', 'h')],
  ['a checkpoint of another log', (text: string) => text.replace('\nledger.example/h\n7', '\nledger.example/other\n7')],
  ['no checkpoint', (text: string) => text.slice(0, text.indexOf('\n\n') + 2)],
  ['nothing', () => ''],
])('refused: %s', (_name, change) => {
  expect(() => parseIncarnation(change(formatIncarnation(good)))).toThrow();
});
