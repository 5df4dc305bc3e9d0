import { Atom, EMOJI, PrintFont, SPACE, letters, mirrored, paragraphs } from './pdf-fonts';
import { PRINTS, Pace } from './pdf-pace';
import { drawQr, QR_MODULE, type QrModules, qrModules, QR_SIZE } from './pdf-qr';

/** What is printed, in the order of the page. Every text may be in any script and of any length; line feeds begin a new line. */
export interface PrintDocument {
  title: string;
  subtitle?: string;
  /** BCP 47 tag of the document, e.g. `tr`. */
  language?: string;
  printedBy: string;
  printedAt: Date;
  sections: PrintSection[];
  /** Printed as text and, where it fits one, as a QR code. */
  seal?: { label: string; text: string };
  /** Text beside a QR code that carries something else: the bytes of `code`, UTF-8. Left out as a whole where the code does not fit. */
  receipt?: { label: string; text: string; code: string };
}

/** Label and value pairs, a table (`width` is relative to the other columns), or dated entries; `empty` stands where there is none. */
export type PrintSection =
  | { heading: string; facts: { label: string; value: string }[] }
  | { heading: string; columns: { header: string; width: number }[]; rows: string[][]; empty?: string }
  | { heading: string; entries: { title: string; meta: string; body: string; mark?: string }[]; empty?: string };

interface Style {
  size: number;
  bold?: boolean;
  color?: string;
}

/** One line, its atoms in the order they stand from left to right. A line of a right-to-left paragraph belongs at the right edge. */
interface Line {
  atoms: Atom[];
  width: number;
  rtl: boolean;
}

const [WIDTH, HEIGHT, MARGIN, TOP, BOTTOM] = [595.28, 841.89, 48, 62, 841.89 - 62];
const INNER = WIDTH - 2 * MARGIN;
const [INK, GREY, ACCENT, RULE, SHADE, ALERT] = ['#1a1a1a', '#5b6470', '#17456b', '#c9d1d9', '#eaf0f5', '#a3261b'];
const BODY: Style = { size: 9.5 };
const SMALL: Style = { size: 8, color: GREY };

/**
 * Renders an A4 print. The text can be extracted again with its code points; a character no font has is printed as `[U+XXXX]`, control and formatting
 * characters are left out. The information dictionary holds no personal data, and the file neither scripts nor links. Prints wait for one another.
 */
export const renderPdf = (document: PrintDocument): Promise<Buffer> => PRINTS.run(() => render(document));

async function render(document: PrintDocument): Promise<Buffer> {
  const language = /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(document.language ?? '') ? document.language : undefined;
  const { default: PDFDocument } = await import('pdfkit'); // large, so not loaded at the start
  const pdf = new PDFDocument({
    size: 'A4',
    margin: 0,
    bufferPages: true,
    pdfVersion: '1.7',
    displayTitle: true,
    info: { Title: 'Medical record print', CreationDate: document.printedAt },
    ...(language && { lang: language }),
  });
  const chunks: Buffer[] = [];
  const finished = new Promise<Buffer>((resolve, reject) => {
    pdf.on('data', (chunk: Buffer) => chunks.push(chunk));
    pdf.on('end', () => resolve(Buffer.concat(chunks)));
    pdf.on('error', reject);
  });
  const printer = new Printer(pdf);
  printer.flow(document.title, { size: 18, bold: true, color: ACCENT });
  if (document.subtitle) printer.flow(document.subtitle, { size: 10.5, color: GREY });
  printer.rule(ACCENT);
  for (const section of document.sections) await printer.section(section);
  if (document.seal) await printer.seal(document.seal.label, document.seal.text);
  if (document.receipt) await printer.receipt(document.receipt);
  await printer.frame(document);
  pdf.end();
  return finished;
}

/** Draws downwards from `y` and begins a page where the next line has no room. Lengths are points, `y` is the top of the next line. */
class Printer {
  private y = TOP - 14;
  private readonly registered = new Set<string>();
  private readonly pace = new Pace();

  constructor(private readonly pdf: PDFKit.PDFDocument) {}

  async section(section: PrintSection): Promise<void> {
    this.room(70); // a heading never stands alone at the foot of a page
    this.y += 12;
    this.flow(section.heading, { size: 12, bold: true, color: ACCENT });
    this.y += 4;
    if ('facts' in section)
      for (const { label, value } of section.facts)
        this.row([label, value], [INNER * 0.28, INNER * 0.72], [{ ...BODY, color: GREY }, BODY]);
    else if ('columns' in section) await this.table(section.columns, section.rows, section.empty);
    else await this.entries(section.entries, section.empty);
  }

  private async table(columns: { header: string; width: number }[], rows: string[][], empty = '—'): Promise<void> {
    const total = columns.reduce((sum, { width }) => sum + Math.max(width, 0.01), 0);
    const widths = columns.map(({ width }) => (Math.max(width, 0.01) / total) * INNER);
    const header = (): void =>
      this.row(
        columns.map((column) => column.header),
        widths,
        [{ size: 9, bold: true, color: ACCENT }],
        SHADE,
      );
    header();
    for (const row of rows) {
      await this.pace.pause();
      this.row(row, widths, [{ size: 9 }], undefined, header);
    }
    if (rows.length === 0) this.row([empty], [INNER], [{ size: 9, color: GREY }]);
  }

  private async entries(entries: { title: string; meta: string; body: string; mark?: string }[], empty = '—'): Promise<void> {
    for (const { title, meta, body, mark } of entries) {
      await this.pace.pause();
      const marks = mark ? this.lines(mark, INNER * 0.3, { size: 8, bold: true }) : [];
      this.room(Math.max(46, marks.length * 11));
      const top = this.y;
      marks.forEach((line, n) =>
        this.draw(line, WIDTH - MARGIN - line.width, top + n * 11, line.width, { size: 8, bold: true, color: ALERT }),
      );
      this.flow(title, { size: 10, bold: true }, MARGIN, INNER * (mark ? 0.68 : 1));
      if (this.y > top) this.y = Math.max(this.y, top + marks.length * 11);
      this.flow(meta, SMALL);
      this.y += 2;
      this.flow(body, BODY);
      this.y += 3;
      this.rule(RULE);
      this.y += 4;
    }
    if (entries.length === 0) this.flow(empty, { ...BODY, color: GREY });
  }

  /** One row of cells with a rule below; a row longer than the page goes on after it. `again` draws the header of a new page. */
  private row(cells: string[], widths: number[], styles: Style[], shade?: string, again?: () => void): void {
    const style = (i: number): Style => styles[i] ?? styles[0] ?? BODY;
    const columns = widths.map((width, i) => this.lines(cells[i] ?? '', width - 10, style(i)));
    const height = Math.max(10, ...widths.map((_, i) => style(i).size * 1.35));
    const count = Math.max(1, ...columns.map((lines) => lines.length));
    for (let from = 0; from < count;) {
      const fits = (): number => Math.floor((BOTTOM - this.y - 6) / height);
      if (fits() < Math.min(count - from, 3)) {
        this.page();
        again?.();
      }
      const lines = Math.max(1, Math.min(fits(), count - from)); // one at least, or a header that fills the page would never end
      if (shade) this.pdf.rect(MARGIN, this.y, INNER, lines * height + 6).fill(shade);
      let x = MARGIN + 5;
      columns.forEach((column, i) => {
        column.slice(from, from + lines).forEach((line, n) => this.draw(line, x, this.y + 3 + n * height, (widths[i] ?? 0) - 10, style(i)));
        x += widths[i] ?? 0;
      });
      this.y += lines * height + 6;
      this.rule(RULE);
      from += lines;
    }
  }

  /** The label, the QR code at the left (ISO/IEC 18004, level M, 35 mm) and the text at its right; a text too long for the code stands alone. */
  async seal(label: string, text: string): Promise<void> {
    this.beside(label, text, await qrModules(text), QR_SIZE);
  }

  /** The same with a code of its own content, level L, so large that a telephone reads it. */
  async receipt({ label, text, code }: NonNullable<PrintDocument['receipt']>): Promise<void> {
    const modules = await qrModules(code, 'L');
    if (modules) this.beside(label, text, modules, Math.max(QR_SIZE, modules.size * QR_MODULE));
  }

  private beside(label: string, text: string, modules: QrModules | undefined, side: number): void {
    this.room(side + 40);
    this.y += 14;
    this.flow(label, { size: 10, bold: true, color: ACCENT });
    this.y += 9; // the quiet zone of the code
    const [top, page] = [this.y, this.pdf.page];
    if (modules) drawQr(this.pdf, modules, MARGIN, top, side);
    const indent = modules ? side + 14 : 0;
    this.flow(text, { size: 7.5, color: INK }, MARGIN + indent, INNER - indent);
    if (modules && this.pdf.page === page) this.y = Math.max(this.y, top + side);
  }

  /** The head of every page but the first and the foot of every page, which need the number of pages. */
  async frame({ title, printedBy, printedAt }: PrintDocument): Promise<void> {
    const { count } = this.pdf.bufferedPageRange();
    const foot = `Printed by ${printedBy} · ${printedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    const [head, by] = [
      this.lines(title, INNER, SMALL)[0],
      this.lines(foot.replace(/[\n\v\f\r\u0085\u2028\u2029]+/g, ' '), INNER - 90, SMALL).slice(0, 2),
    ];
    for (let n = 0; n < count; n++) {
      await this.pace.pause();
      this.pdf.switchToPage(n);
      if (n > 0 && head) this.draw(head, MARGIN, 32, INNER, SMALL);
      if (n > 0) this.rule(RULE, 48);
      this.rule(RULE, HEIGHT - 50);
      by.forEach((line, i) => this.draw(line, MARGIN, HEIGHT - 44 + i * 10.8, INNER - 90, SMALL));
      for (const line of this.lines(`Page ${n + 1} of ${count}`, 90, SMALL))
        this.draw(line, WIDTH - MARGIN - line.width, HEIGHT - 44, line.width, SMALL);
    }
  }

  /** Text over the lines and pages it needs, the right-to-left ones set against the right edge. */
  flow(text: string, style: Style, x = MARGIN, width = INNER): void {
    for (const line of this.lines(text, width, style)) {
      this.room(style.size * 1.35);
      this.draw(line, x, this.y, width, style);
      this.y += style.size * 1.35;
    }
  }

  rule(color: string, y = this.y): void {
    this.pdf
      .moveTo(MARGIN, y)
      .lineTo(WIDTH - MARGIN, y)
      .lineWidth(0.5)
      .stroke(color);
  }

  private room(height: number): void {
    if (this.y + height > BOTTOM) this.page();
  }

  private page(): void {
    this.pdf.addPage();
    this.y = TOP;
  }

  /** Breaks a text into lines of at most `width`, each paragraph in its own direction; a word too long for a line is cut. */
  private lines(text: string, width: number, { size, bold = false }: Style): Line[] {
    const measure = (part: string, font: PrintFont): number => this.use(font).fontSize(size).widthOfString(part);
    return paragraphs(text, bold, measure).flatMap(({ units, rtl }) => {
      const lines: Atom[][] = [[]];
      let used = 0;
      const feed = (): void => {
        if (used > 0) lines.push([]);
        used = 0;
      };
      for (const unit of units) {
        const length = unit.reduce((sum, atom) => sum + atom.width, 0);
        if (used + length > width) feed();
        if (used === 0 && unit.every((atom) => SPACE.test(atom.text))) continue;
        for (const atom of length > width ? unit.flatMap((atom) => letters(atom, measure)) : unit) {
          if (used + atom.width > width) feed();
          lines.at(-1)?.push(atom);
          used += atom.width;
        }
      }
      return lines.map((atoms) => arrange(atoms, rtl));
    });
  }

  private draw({ atoms, width: used, rtl }: Line, x: number, top: number, width: number, { size, color = INK }: Style): void {
    let left = rtl ? x + width - used : x;
    this.pdf.fillColor(color);
    for (const { text, font, width: advance } of atoms) {
      this.use(font)
        .fontSize(size)
        .text(text, left, top + size, { lineBreak: false, baseline: 'alphabetic' });
      left += advance;
    }
  }

  private use({ name, source }: PrintFont): PDFKit.PDFDocument {
    if (!this.registered.has(name)) this.pdf.registerFont(name, source);
    this.registered.add(name);
    return this.pdf.font(name);
  }
}

/** The line in the order of sight (UAX 9, rules L1, L2 and L4), neighbours of one face joined. */
function arrange(atoms: Atom[], rtl: boolean): Line {
  let seen = atoms.slice(0, atoms.findLastIndex((atom) => !SPACE.test(atom.text)) + 1);
  for (let level = seen.reduce((most, atom) => Math.max(most, atom.level), 0); level > 0; level--) {
    const [next, run]: [Atom[], Atom[]] = [[], []];
    for (const atom of seen) {
      if (atom.level >= level) run.unshift(atom);
      else next.push(...run.splice(0), atom);
    }
    seen = [...next, ...run];
  }
  const joined: Atom[] = [];
  for (const atom of seen) {
    const last = joined.at(-1);
    if (last?.font === atom.font && last.level === atom.level && atom.level % 2 === 0 && !EMOJI.test(atom.text) && last.text.length < 256) {
      joined[joined.length - 1] = { ...last, text: last.text + atom.text, width: last.width + atom.width };
    } else joined.push(atom.level % 2 === 0 ? atom : { ...atom, text: mirrored(atom.text) });
  }
  return { atoms: joined, width: joined.reduce((sum, atom) => sum + atom.width, 0), rtl };
}
