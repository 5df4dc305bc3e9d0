import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const LETTERS = 'ghjkmnpqrstuvwxyz'; // none of them is a hex digit
const letters = (count: number): string => Array.from({ length: count }, () => LETTERS[randomInt(LETTERS.length)]).join('');

/** Values that occur nowhere else, to be found again wherever they were left. */
export class Canaries {
  readonly planted: { readonly where: string; readonly value: string }[] = [];

  /** Free text: letters outside ASCII and signs in it, so that JSON and URLs write it in ways of their own. */
  text(where: string): string {
    return this.add(where, `${letters(9)} ş?é+${letters(9)}`);
  }

  /** For fields that take plain letters only. */
  word(where: string): string {
    return this.add(where, letters(18));
  }

  /** A value that the server made: a token, a code. */
  add(where: string, value: string): string {
    this.planted.push({ where, value });
    return value;
  }

  /** Where each canary lies in these files or texts, in whatever encoding: `<what> as <form> in <file>`. One pass over the bytes for all of them. */
  found(sources: ReadonlyMap<string, Buffer>): string[] {
    const byStart = new Map<number, { readonly name: string; readonly needle: Buffer }[]>();
    for (const { where, value } of this.planted)
      for (const [form, needle] of encodings(value)) {
        const start = needle.readUInt32BE(0);
        byStart.set(start, [...(byStart.get(start) ?? []), { name: `${where} as ${form}`, needle }]);
      }
    const places = new Set<string>();
    for (const [source, bytes] of sources)
      for (let at = 0, start = 0; at < bytes.length; at++) {
        start = ((start << 8) | (bytes[at] ?? 0)) >>> 0;
        if (at < 3) continue;
        for (const { name, needle } of byStart.get(start) ?? [])
          if (bytes.compare(needle, 0, needle.length, at - 3, Math.min(at - 3 + needle.length, bytes.length)) === 0)
            places.add(`${name} in ${source}`);
      }
    return [...places];
  }
}

/** Every file below the folders. */
export function filesBelow(...dirs: string[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const dir of dirs)
    for (const name of readdirSync(dir, { recursive: true }) as string[])
      if (statSync(join(dir, name)).isFile()) files.set(join(dir, name), readFileSync(join(dir, name)));
  return files;
}

function encodings(value: string): [string, Buffer][] {
  const utf8 = Buffer.from(value);
  const utf16 = Buffer.from(value, 'utf16le');
  const escaped = JSON.stringify(value)
    .slice(1, -1)
    .replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const forms: [string, string | Buffer][] = [
    ['utf-8', utf8],
    ['utf-16le', utf16],
    ['utf-16be', Buffer.from(utf16).swap16()],
    ['hex', utf8.toString('hex')],
    ['HEX', utf8.toString('hex').toUpperCase()],
    ['JSON', escaped],
    ['URL', encodeURIComponent(value)],
    ['upper case', value.toUpperCase()],
    ...[0, 1, 2].flatMap((shift): [string, string][] => {
      const base64 = base64At(utf8, shift);
      return [
        [`base64+${shift}`, base64],
        [`base64url+${shift}`, base64.replaceAll('+', '-').replaceAll('/', '_')],
      ];
    }),
  ];
  return forms.map(([form, needle]) => [form, Buffer.from(needle)]);
}

/** The base64 characters that depend on the value alone when `shift` bytes stand before it and others behind. */
function base64At(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return text.slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + bytes.length) * 4) / 3));
}
