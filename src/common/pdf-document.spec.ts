import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuNow } from '../../test/support/cpu-time';
import { PrintDocument, PrintSection, renderPdf } from './pdf-document';
import { fontFor, paragraphs } from './pdf-fonts';

const base: PrintDocument = {
  title: 'Medical record of Ayşe Yılmaz',
  language: 'tr',
  printedBy: 'Dr. Öztürk',
  printedAt: new Date('2026-01-02T03:04:05Z'),
  sections: [],
};
const facts = (...values: string[]): PrintSection => ({
  heading: 'Facts',
  facts: values.map((value, i) => ({ label: `Label ${i}`, value })),
});
const pages = (pdf: Buffer): number => pdf.toString('latin1').match(/\/Type \/Page\b(?!s)/g)?.length ?? 0;

const withPoppler = spawnSync('pdftotext', ['-v']).error ? it.skip : it;
const withNoto = existsSync('node_modules/@fontsource-variable/noto-sans-sc') && existsSync('node_modules/@fontsource-variable/noto-emoji');
const withBoth = withNoto ? withPoppler : it.skip;

/** What a reader of the file gets, without what pdftotext puts around right-to-left text and before combining marks. */
function extract(pdf: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'pdf-'));
  try {
    writeFileSync(join(folder, 'a.pdf'), pdf);
    const text = execFileSync('pdftotext', ['-layout', join(folder, 'a.pdf'), '-'], { encoding: 'utf8', maxBuffer: 1 << 28 });
    return text.replace(/[\u202A-\u202E]| (?=\p{M})/gu, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('renderPdf', () => {
  it('makes an A4 file with a neutral title, without scripts or links', async () => {
    const pdf = await renderPdf({ ...base, sections: [facts('https://example.org', 'javascript:alert(1)')] });
    const raw = pdf.toString('latin1');
    expect(raw.startsWith('%PDF-1.7')).toBe(true);
    expect(raw).toContain('(Medical record print)');
    expect(raw).toContain('/Lang (tr)');
    expect(raw).toMatch(/\/MediaBox \[0 0 595\.28 841\.89\]/);
    expect(raw).not.toMatch(/\/(JavaScript|JS|URI|Annots|Launch|OpenAction)\b/);
    expect(pages(pdf)).toBe(1);
    expect(pdf.length).toBeLessThan(100_000);
  });

  it('leaves a malformed language out', async () => {
    const pdf = await renderPdf({ ...base, language: ') /OpenAction' });
    expect(pdf.toString('latin1')).not.toMatch(/\/Lang|OpenAction/);
  });

  withPoppler('keeps Turkish, Greek, Cyrillic, Arabic and Hebrew text', async () => {
    const texts = ['Ağrı, İğne ŞÇÖÜ ₺', 'Ελλάδα', 'Привет', 'ارتفاع ضغط الدم', 'שלום עולם', 'é = e\u0301', '37.5 ℃ ≥ µg'];
    const text = extract(await renderPdf({ ...base, sections: [facts(...texts)] }));
    for (const expected of texts) expect(text.normalize('NFC')).toContain(expected.normalize('NFC'));
  });

  withPoppler('is not changed by what was printed before', async () => {
    await renderPdf({ ...base, title: 'Şıi\u0307é', sections: [facts('İi\u0307\u0301 ﬁ ﬃ')] });
    const text = extract(await renderPdf({ ...base, sections: [facts('İstanbul ılık Seferihisar fi ffi', 'i\u0307 ve ı')] }));
    expect(text).toContain('İstanbul ılık Seferihisar fi ffi');
    expect(text).toContain('i\u0307 ve ı');
  });

  withBoth('keeps Chinese, Japanese and emoji text, and stays small', async () => {
    const texts = ['患者自述头痛三天，伴有恶心。', '繁體中文龘鬱', 'かなカナ漢字'];
    const pdf = await renderPdf({ ...base, title: '王小明', sections: [facts(...texts, '💊 🩺')] });
    const text = extract(pdf);
    for (const expected of ['王小明', ...texts, '💊', '🩺']) expect(text).toContain(expected);
    expect(pdf.length).toBeLessThan(300_000);
  });

  withPoppler('ATTACK control characters, overrides and characters of no font', async () => {
    const hostile = 'A\u0000B\u0007C\u001bD\u202EE\u2066F\uFEFFG\u200BH \u{10FFFD} \uD800 end';
    const text = extract(await renderPdf({ ...base, title: hostile, printedBy: hostile, sections: [facts(hostile)] }));
    expect(text.match(/ABCDEFGH \[U\+10FFFD\] \[U\+D800\] end/g)).toHaveLength(3);
  });

  withPoppler('ATTACK a very long word is cut and none of it is lost', async () => {
    const word = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    const pdf = await renderPdf({ ...base, sections: [{ heading: 'H', columns: [{ header: 'C', width: 1 }], rows: [[word]] }] });
    expect(pages(pdf)).toBeGreaterThan(2);
    const kept = extract(pdf).match(/^\s*[a-z]+$/gm) ?? [];
    expect(kept.join('').replace(/\s/g, '') === word).toBe(true);
  });

  it('ATTACK ends with any header, mark and pile of combining marks', async () => {
    const columns = [{ header: 'x '.repeat(9000), width: 1 }, ...[-5, 0].map((width) => ({ header: 'b', width }))];
    const sections: PrintSection[] = [
      { heading: 'Tall header', columns, rows: [['a', 'b'], ['c']] },
      { heading: 'No columns', columns: [], rows: [['a']] },
      { heading: 'Mark', entries: [{ title: '', meta: '', body: '\n'.repeat(500), mark: 'm '.repeat(900) }] },
      facts('a' + '\u0301\u0323'.repeat(5000), 'مرحبا'.repeat(2000), ' '.repeat(20_000), '\uD800'.repeat(500)),
    ];
    const pdf = await renderPdf({ ...base, printedBy: 'y'.repeat(9999), sections });
    expect(pages(pdf)).toBeLessThan(60);
  });

  withPoppler('repeats the table header and numbers the pages', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => [`row-${i}`, 'value', '']);
    const columns = ['Code', 'Value', 'Note'].map((header, i) => ({ header: `Head${header}`, width: i + 1 }));
    const pdf = await renderPdf({ ...base, sections: [{ heading: 'Table', columns, rows }] });
    const [count, text] = [pages(pdf), extract(pdf)];
    expect(count).toBeGreaterThan(20);
    expect(text.match(/HeadCode/g)).toHaveLength(count);
    expect(text).toContain(`Page ${count} of ${count}`);
    expect(text.match(/Printed by Dr\. Öztürk · 2026-01-02 03:04 UTC/g)).toHaveLength(count);
    for (const [name = ''] of rows) expect(text).toContain(name);
  });

  it('prints 1,000 entries within seconds', async () => {
    const body = 'Blood pressure 142/91 mmHg, pulse regular. '.repeat(5);
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      title: `Note ${i}`,
      meta: '2026-01-01',
      body,
      ...(i % 3 ? {} : { mark: 'CORRECTED' }),
    }));
    const started = cpuNow();
    const pdf = await renderPdf({ ...base, sections: [{ heading: 'Entries', entries }] });
    expect(pages(pdf)).toBeGreaterThan(50);
    expect(cpuNow() - started).toBeLessThan(10_000);
  });

  withPoppler('says where there is nothing, and survives empty parts', async () => {
    const sections: PrintSection[] = [
      { heading: 'Notes', entries: [], empty: 'No notes.' },
      { heading: 'Table', columns: [{ header: 'C', width: 0 }], rows: [], empty: 'No rows.' },
      { heading: 'Ragged', columns: ['A', 'B'].map((header) => ({ header, width: 1 })), rows: [[], ['only'], ['x', 'y', 'dropped']] },
      { heading: '', facts: [{ label: '', value: '' }] },
    ];
    const text = extract(await renderPdf({ ...base, title: '', sections, seal: { label: '', text: '' } }));
    for (const expected of ['No notes.', 'No rows.', 'only']) expect(text).toContain(expected);
  });

  withPoppler('prints the seal as text, with a QR code where it fits one', async () => {
    const [short, long] = ['root Zr8dJ1mQ0sXo5Xv1yQ2y=', 'x'.repeat(5000)];
    const squares = async (text: string): Promise<number> => {
      const pdf = await renderPdf({ ...base, seal: { label: 'Seal of the record', text } });
      const kept = extract(pdf);
      expect(kept).toContain('Seal of the record');
      expect(kept.replace(/\s/g, '')).toContain(text.replace(/\s/g, '').slice(0, 60));
      return pdf.length;
    };
    const plain = (await renderPdf({ ...base, sections: [facts(short)] })).length;
    expect(await squares(short)).toBeGreaterThan(plain + 500);
    await squares(long);
  });

  withPoppler('prints a receipt beside its QR code, and leaves both out where the code does not fit', async () => {
    const print = (code: string) => renderPdf({ ...base, receipt: { label: 'Receipt', text: 'what the code is', code } });
    const fits = await print('r'.repeat(2_500));
    expect(extract(fits)).toContain('what the code is');
    expect(extract(fits)).not.toContain('rrr');
    expect(fits.length).toBeGreaterThan((await print('r'.repeat(200))).length + 500);
    expect(extract(await print('r'.repeat(3_000)))).not.toContain('what the code is');
  });
});

describe('paragraphs', () => {
  const levels = (text: string): string =>
    paragraphs(text, false, () => 1)
      .flatMap(({ units }) => units.flat())
      .map((atom) => String(atom.level).repeat(atom.text.length))
      .join('');

  it('gives right-to-left text and the numbers in it their levels (UAX 9)', () => {
    expect(levels('a אב b')).toBe('001100');
    expect(levels('אב 12/3 a!')).toBe('1112222121');
    expect(levels('a 12 b')).toBe('000000');
  });

  it('breaks between Chinese characters but not before closing punctuation', () => {
    if (!withNoto) return;
    const [first] = paragraphs('血压，高 abc', false, () => 1);
    expect(first?.units.map((unit) => unit.map((atom) => atom.text).join(''))).toEqual(['血', '压，', '高', ' ', 'abc']);
  });

  it('knows which characters no font has', () => {
    expect(fontFor(0x10fffd, false)).toBeUndefined();
    expect(fontFor(0x41, true)?.name).toBe('DejaVuSansCondensed-Bold');
    expect(fontFor(0x41, true)).toBe(fontFor(0x42, true));
  });
});
