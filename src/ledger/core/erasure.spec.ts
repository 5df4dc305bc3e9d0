import { FormatError } from './bytes';
import { erasureRef, ErasureStatement, erasureText, parseErasure } from './erasure';
import { genesisHash } from './header';

const [record, first, second] = ['1', '2', '3'].map((digit) => `0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f${digit}`) as [string, string, string];
const ofRecord: ErasureStatement = {
  scope: 'record',
  erases: record,
  blockHash: 'ab'.repeat(32),
  reason: 'consent-withdrawn',
  approvedBy: [first, second],
};
const ofPatient: ErasureStatement = { ...ofRecord, scope: 'patient', erases: null, blockHash: null };
const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

it('writes the one form, and reads what it wrote', () => {
  expect(erasureText(ofPatient)).toBe(
    `{"schema":"bjwt.erasure/1","scope":"patient","erases":null,"blockHash":null,"reason":"consent-withdrawn","approvedBy":["${first}","${second}"]}`,
  );
  for (const statement of [ofRecord, ofPatient]) expect(parseErasure(bytes(erasureText(statement)))).toEqual(statement);
});

it('refers to the erased block, or to what stands below the whole chain', () => {
  const [ledgerId, chainId] = [Buffer.alloc(32, 1), Buffer.alloc(16, 2)];
  expect(erasureRef(ofRecord, ledgerId, chainId).toString('hex')).toBe(ofRecord.blockHash);
  expect(erasureRef(ofPatient, ledgerId, chainId)).toEqual(genesisHash(ledgerId, chainId));
});

const field = (text: string): string => {
  try {
    parseErasure(bytes(text));
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.field : String(error);
  }
};

it.each<[string, Record<string, unknown>, string]>([
  ['another schema', { schema: 'bjwt.erasure/2' }, 'erasure.schema'],
  ['another scope', { scope: 'hospital' }, 'erasure.scope'],
  ['a free reason', { reason: 'Ayşe asked' }, 'erasure.reason'],
  ['one approval', { approvedBy: [first] }, 'erasure.approvedBy'],
  ['one account twice', { approvedBy: [first, first] }, 'erasure.approvedBy'],
  ['three approvals', { approvedBy: [first, second, record] }, 'erasure.approvedBy'],
  ['a name as approval', { approvedBy: [first, 'Robert'] }, 'erasure.approvedBy'],
  ['no record', { erases: null }, 'erasure.erases'],
  ['no block', { blockHash: null }, 'erasure.blockHash'],
  ['a hash in upper case', { blockHash: 'AB'.repeat(32) }, 'erasure.blockHash'],
  ['a whole patient with a record', { scope: 'patient' }, 'erasure.erases'],
  ['a whole patient with a block', { scope: 'patient', erases: null }, 'erasure.blockHash'],
  ['one member more', { note: 'x' }, 'erasure'],
])('refuses %s', (_, change, at) => {
  expect(field(JSON.stringify({ schema: 'bjwt.erasure/1', ...ofRecord, ...change }))).toBe(at);
});

it('refuses other spellings and what is no statement', () => {
  const text = erasureText(ofRecord);
  for (const other of [` ${text}`, text.replace('{', '{"schema":"bjwt.erasure/1",'), text.replace('record', '\\u0072ecord')])
    expect(field(other)).toBe('erasure');
  for (const other of ['', 'null', '[]', '7', text.slice(1), `${text.slice(0, -1)},"x":"${'y'.repeat(2000)}"}`])
    expect(field(other)).toMatch(/^erasure/);
  expect(() => erasureText({ ...ofRecord, blockHash: null })).toThrow(FormatError);
});
