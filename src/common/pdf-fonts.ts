import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

type Outline = { command: string; args: number[] };
type Point = { copy(): Point };
type Glyph = { advanceWidth: number; path: { commands: Outline[] }; _decode(): { points?: Point[] } | null };

/** The part of a fontkit font which is used here; lengths are font units. */
interface OpenFont extends Record<'unitsPerEm' | 'ascent' | 'descent' | 'numGlyphs', number> {
  variationCoords: number[] | null;
  _variationProcessor: { transformPoints(glyph: number, points: Point[]): void } | null;
  hasGlyphForCodePoint(codePoint: number): boolean;
  getGlyph(id: number, codePoints?: number[]): Glyph;
  layout(text: string, features?: object): unknown;
  createSubset(): unknown;
}

/** One face a print may use: `source` is what pdfkit's `registerFont` takes, `name` is unique among faces. */
export interface PrintFont {
  name: string;
  source: Buffer;
  has(codePoint: number): boolean;
}

type Slice = { suffix: string; ranges: number[][] };

/** Fallbacks in the order they are asked, each a @fontsource-variable package; one that is not installed is passed over. */
const FALLBACKS = ['noto-sans-sc', 'noto-emoji'];
const BASE = ['DejaVuSansCondensed', 'DejaVuSansCondensed-Bold'] as const;

const requireHere = createRequire(__filename);
const faces = new Map<string, PrintFont>();
const slicesOf = new Map<string, Slice[]>();
const chosen = [new Map<number, PrintFont | undefined>(), new Map<number, PrintFont | undefined>()] as const;

/** The face which shows a code point, or undefined where no installed font has it. Fonts are read on first need and kept. */
export function fontFor(codePoint: number, bold: boolean): PrintFont | undefined {
  const known = chosen[bold ? 1 : 0];
  if (!known.has(codePoint)) known.set(codePoint, find(codePoint, bold));
  return known.get(codePoint);
}

function find(codePoint: number, bold: boolean): PrintFont | undefined {
  for (const name of bold ? [BASE[1], BASE[0]] : [BASE[0]]) {
    const font = face(name, () => open(requireHere.resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`)));
    if (font.has(codePoint)) return font;
  }
  for (const family of FALLBACKS) {
    const known = slicesOf.get(family) ?? slices(family);
    slicesOf.set(family, known);
    for (const { suffix, ranges } of known) {
      if (!ranges.some(([first = 0, last = first]) => codePoint >= first && codePoint <= last)) continue;
      const font = face(`${family}-${suffix}${bold ? '-bold' : ''}`, () => openSlice(family, suffix, bold));
      if (font.has(codePoint)) return font;
    }
  }
  return undefined;
}

function face(name: string, load: () => OpenFont): PrintFont {
  const known = faces.get(name);
  if (known) return known;
  const opened = shared(load(), name);
  const font = { name, source: opened as unknown as Buffer, has: (codePoint: number) => opened.hasGlyphForCodePoint(codePoint) };
  faces.set(name, font);
  return font;
}

/** Makes a font fit to be shared by all documents without one changing the text another is read as. */
function shared(font: OpenFont, name: string): OpenFont {
  const [layout, getGlyph, glyphs] = [font.layout.bind(font), font.getGlyph.bind(font), new Map<string, Glyph>()];
  // fontkit remembers the text a glyph first stood for, which is none at all for the S embedded as a part of Ş.
  font.getGlyph = (id, codePoints = []) => {
    const key = [id, ...codePoints].join();
    const glyph = glyphs.get(key) ?? (Object.create(getGlyph(id), { codePoints: { value: codePoints } }) as Glyph);
    glyphs.set(key, glyph);
    return glyph;
  };
  // Composition would show i with a mark by the glyph of ı, and the PDF has one text for each glyph.
  font.layout = (text) => layout(text, { ccmp: false, liga: false });
  // pdfkit takes fonts of equal name and checksum for the same: every slice has a name of its own.
  return Object.defineProperty(font, 'postscriptName', { value: name });
}

function open(file: string): OpenFont {
  // The fontkit pdfkit itself draws with, so that an opened font can be handed over and shared by all documents.
  const fontkit = createRequire(requireHere.resolve('pdfkit'))('fontkit') as { create(data: Uint8Array): OpenFont };
  return fontkit.create(readFileSync(file));
}

/** fontkit 2.0.4 does not vary the outlines of WOFF2, so Chinese would stand in the thinnest weight: a second copy of the font tells how they vary. */
function openSlice(family: string, suffix: string, bold: boolean): OpenFont {
  const folder = dirname(requireHere.resolve(`@fontsource-variable/${family}/unicode.json`));
  const [font, weight] = [0, 1].map(() => open(join(folder, 'files', `${family}-${suffix}-wght-normal.woff2`))) as [OpenFont, OpenFont];
  weight.variationCoords = [bold ? 700 : 400];
  for (let id = 0; id < font.numGlyphs; id++) {
    const points = font.getGlyph(id)._decode()?.points ?? [];
    const phantoms = points.slice(0, 1).flatMap((point) => [0, 1, 2, 3].map(() => Object.assign(point.copy(), { endContour: true })));
    if (points.length) weight._variationProcessor?.transformPoints(id, [...points, ...phantoms]); // moves the points in place
  }
  font.createSubset = () => new OutlineSubset(font);
  return font;
}

/** The slices of a package by its `unicode.json`: `{"[4]": "U+1f1e9-1f1f5,U+1f21a", …}`; none where it is not installed. */
function slices(family: string): Slice[] {
  let index: Record<string, string> = {};
  try {
    index = JSON.parse(readFileSync(requireHere.resolve(`@fontsource-variable/${family}/unicode.json`), 'utf8')) as typeof index;
  } catch {
    // its characters are printed as [U+XXXX]
  }
  return Object.entries(index).map(([key, list]) => ({
    suffix: key.replace(/[[\]]/g, ''),
    ranges: list.split(',').map((range) => (range.match(/[0-9a-f]+/gi) ?? []).map((hex) => parseInt(hex, 16))),
  }));
}

/**
 * A TrueType subset written from the outlines a glyph draws. fontkit 2.0.4 cannot subset a variable or WOFF2 font: it copies the table bytes, which
 * the WOFF2 transform removed, and its encoder for varied outlines fails.
 * Layout: OpenType 1.9, tables head, hhea, maxp, hmtx, loca, glyf, which ISO 32000-1 section 9.9 asks of an embedded CIDFontType2.
 */
class OutlineSubset {
  private readonly glyphs: number[] = [0];
  private readonly ids = new Map<number, number>([[0, 0]]);

  constructor(private readonly font: OpenFont) {}

  /** The id a glyph of the font has in the subset. */
  includeGlyph(glyph: number): number {
    const id = this.ids.get(glyph) ?? this.glyphs.push(glyph) - 1;
    this.ids.set(glyph, id);
    return id;
  }

  encode(): Buffer {
    const { unitsPerEm, ascent, descent } = this.font;
    const glyphs = this.glyphs.map((id) => this.font.getGlyph(id));
    const outlines = glyphs.map((glyph) => encodeOutline(glyph.path.commands));
    let offset = 0;
    const loca = uint32(0, ...outlines.map(({ data }) => (offset += data.length)));
    const widths = glyphs.map((glyph) => Math.round(glyph.advanceWidth));
    const box = [Math.min, Math.min, Math.max, Math.max].map((pick, side) =>
      outlines.reduce((edge, { box }) => pick(edge, box[side] ?? 0), 0),
    );
    const most = (count: 'points' | 'contours'): number => outlines.reduce((known, outline) => Math.max(known, outline[count]), 0);
    return sfnt({
      glyf: Buffer.concat(outlines.map(({ data }) => data)),
      head: Buffer.concat([uint32(0x10000, 0x10000, 0, 0x5f0f3cf5), int16(3, unitsPerEm), Buffer.alloc(16), int16(...box, 0, 8, 2, 1, 0)]),
      hhea: Buffer.concat([uint32(0x10000), int16(ascent, descent, 0, Math.max(...widths)), Buffer.alloc(22), int16(glyphs.length)]),
      hmtx: int16(...widths.flatMap((width, i) => [width, outlines[i]?.box[0] ?? 0])),
      loca,
      maxp: Buffer.concat([uint32(0x10000), int16(glyphs.length, most('points'), most('contours'), 0, 0, 2), Buffer.alloc(16)]),
    });
  }
}

function encodeOutline(commands: Outline[]): { data: Buffer; box: number[]; points: number; contours: number } {
  const contours: { x: number; y: number; on: boolean }[][] = [];
  for (const { command, args } of commands) {
    const points = args.map(Math.round);
    const at = (i: number, on: boolean) => ({ x: points[i] ?? 0, y: points[i + 1] ?? 0, on });
    if (command === 'moveTo') contours.push([]);
    if (command === 'moveTo' || command === 'lineTo') contours.at(-1)?.push(at(0, true));
    if (command === 'quadraticCurveTo') contours.at(-1)?.push(at(0, false), at(2, true));
  }
  const all = contours.flat();
  if (all.length === 0) return { data: Buffer.alloc(0), box: [0, 0, 0, 0], points: 0, contours: 0 };
  const [xs, ys] = [all.map(({ x }) => x), all.map(({ y }) => y)];
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  let end = -1;
  const ends = contours.map((contour) => (end += contour.length));
  const deltas = (list: number[]): number[] => list.map((value, i) => value - (list[i - 1] ?? 0));
  const body = Buffer.concat([
    int16(contours.length, ...box, ...ends, 0),
    Buffer.from(all.map(({ on }) => (on ? 1 : 0))),
    int16(...deltas(xs), ...deltas(ys)),
  ]);
  return { data: Buffer.concat([body, Buffer.alloc(-body.length & 3)]), box, points: all.length, contours: contours.length };
}

/** An sfnt file of the tables, given in the order of their tags. Checksums stay 0: readers of embedded fonts do not look at them. */
function sfnt(tables: Record<string, Buffer>): Buffer {
  const entries = Object.entries(tables);
  let offset = 12 + 16 * entries.length;
  const power = 2 ** Math.floor(Math.log2(entries.length));
  const parts = [uint32(0x10000), int16(entries.length, power * 16, Math.log2(power), (entries.length - power) * 16)];
  for (const [tag, data] of entries) {
    parts.push(Buffer.from(tag, 'latin1'), uint32(0, offset, data.length));
    offset += (data.length + 3) & ~3;
  }
  return Buffer.concat([...parts, ...entries.flatMap(([, data]) => [data, Buffer.alloc(-data.length & 3)])]);
}

const uint32 = (...values: number[]): Buffer =>
  Buffer.concat(values.map((value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])));
const int16 = (...values: number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value]));

/** Characters of one face and one bidirectional level (UAX 9), drawn in one piece. */
export interface Atom {
  text: string;
  font: PrintFont;
  level: number;
  width: number;
}

type Measure = (text: string, font: PrintFont) => number;

const DROPPED = /(?![\n\u200C\u200D\u0600-\u0605\u06DD])[\p{Cc}\p{Cf}\p{Variation_Selector}]/gu; // overrides would show another text than is stored
export const SPACE = /[ \u1680\u2000-\u2006\u2008-\u200A\u205F\u3000]/u;
const JOINS = /[\p{M}\u200C\u200D]/u;
export const EMOJI = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}]/u;
const LOOSE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u3001-\u3011\uFF00-\uFFEF]/u;
const CLOSING = /[\p{Pe}\p{Pf}\p{Po}\u30FC]/u;
const OPENING = /[\p{Ps}\p{Pi}]/u;
const RTL = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
const MIRROR = '()[]{}<>«»';

/** The paragraphs of a text without control characters, each as the stretches between two places where a line may break. */
export function paragraphs(text: string, bold: boolean, measure: Measure): { units: Atom[][]; rtl: boolean }[] {
  const plain = text
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, '\n')
    .replaceAll('\t', ' ')
    .replace(DROPPED, '');
  return plain.split('\n').map((paragraph) => {
    const chars = faced(paragraph, bold);
    const { levels, rtl } = bidiLevels(chars.map(({ char }) => char));
    return { units: units(chars, levels, measure), rtl };
  });
}

/** Each character with its face, one without a face as the characters of `[U+XXXX]`. A mark stays in the face of its letter where that has it. */
function faced(text: string, bold: boolean): { char: string; font: PrintFont }[] {
  const result: { char: string; font: PrintFont }[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const before = JOINS.test(char) ? result.at(-1)?.font : undefined;
    const font = before?.has(code) ? before : fontFor(code, bold);
    if (font) result.push({ char, font });
    else result.push(...faced(`[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`, bold));
  }
  return result;
}

function units(chars: { char: string; font: PrintFont }[], levels: number[], measure: Measure): Atom[][] {
  const result: Atom[][] = [];
  chars.forEach(({ char, font }, i) => {
    const [unit, before, level] = [result.at(-1), chars[i - 1]?.char ?? '', levels[i] ?? 0];
    const last = unit?.at(-1);
    const loose = [before, char].some((side) => LOOSE.test(side) || EMOJI.test(side)) && !CLOSING.test(char) && !OPENING.test(before);
    if (!unit || !last || (!JOINS.test(char) && (SPACE.test(before) !== SPACE.test(char) || loose)))
      result.push([{ text: char, font, level, width: 0 }]);
    else if (last.font === font && last.level === level && last.text.length < (JOINS.test(char) ? 96 : 64)) last.text += char;
    else unit.push({ text: char, font, level, width: 0 });
  });
  for (const atom of result.flat()) atom.width = measure(atom.text, atom.font);
  return result;
}

/** The letters of a word which is too long for a line. */
export function letters(atom: Atom, measure: Measure): Atom[] {
  return (atom.text.match(/\P{M}?\p{M}*/gu) ?? []).filter(Boolean).map((text) => ({ ...atom, text, width: measure(text, atom.font) }));
}

/** Right-to-left text as fontkit wants it: it turns the glyphs of a right-to-left script round itself, but not those of punctuation alone. */
export function mirrored(text: string): string {
  const chars = [...text].map((char) => (MIRROR.includes(char) ? (MIRROR[MIRROR.indexOf(char) ^ 1] ?? char) : char));
  return (RTL.test(text) ? chars : chars.reverse()).join('');
}

/** Embedding levels by the implicit rules of UAX 9, simplified: no explicit codes (they are dropped), and numbers after the last letter's direction. */
function bidiLevels(chars: string[]): { levels: number[]; rtl: boolean } {
  const strong = chars.map((char) => (/\p{Nd}/u.test(char) ? undefined : RTL.test(char) ? 'R' : /\p{L}/u.test(char) ? 'L' : undefined));
  const base: 'L' | 'R' = strong.find(Boolean) ?? 'L';
  if (!strong.includes('R')) return { levels: chars.map(() => 0), rtl: false };
  const number = chars.map((char, i) => {
    const digit = (at: number): boolean => /\p{Nd}/u.test(chars[at] ?? '');
    return digit(i) || (/[.,:/]/.test(char) && digit(i - 1) && digit(i + 1));
  });
  let before: 'L' | 'R' = base;
  const directions = strong.map((own, i) => (own ? (before = own) : number[i] ? before : undefined)); // a number counts as the letters before it
  const after: ('L' | 'R')[] = [];
  directions.reduceRight<'L' | 'R'>((next, own, i) => own ?? ((after[i] = next), next), base);
  before = base;
  const levels = chars.map((char, i) => {
    before = strong[i] ?? before;
    if (number[i]) return before === 'R' || base === 'R' ? 2 : 0;
    const direction = strong[i] ?? (before === after[i] || /\p{M}/u.test(char) ? before : base);
    return direction === 'R' ? 1 : base === 'R' ? 2 : 0;
  });
  return { levels, rtl: base === 'R' };
}
