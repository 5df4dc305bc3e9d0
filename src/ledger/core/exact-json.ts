import { isUtf8 } from 'node:buffer';
import { FormatError } from './bytes';

/**
 * A file of ours has at least 30 bytes for each value: nearly all of it is base64. One of many tiny values would cost the reader minutes and gigabytes, so
 * it is refused by its commas and brackets before it is parsed. Those inside texts count too; our texts have none.
 */
const BYTES_A_VALUE = 24;
const FREE_VALUES = 1_000;
/** White space of JSON (RFC 8259 section 2). */
const SPACES: ReadonlySet<number> = new Set(Buffer.from(' \t\r\n'));
const VALUE_STARTS: ReadonlySet<number> = new Set(Buffer.from(',[{'));

/**
 * The value of a JSON file, read so that no two readers can see two contents: the text must be what its value prints as, but for white space
 * between the tokens. That rules out duplicate and reordered numeric names, other spellings of numbers and texts, and lone surrogates (`\u`
 * escapes are refused altogether: no field of these formats needs one).
 * @param most largest size in bytes
 * @throws FormatError naming `field`
 */
export function parseExactJson(bytes: Uint8Array, field: string, most: number): unknown {
  if (bytes.length > most) throw new FormatError(field, `has more than ${most} bytes`);
  if (!isUtf8(bytes)) throw new FormatError(field, 'is not UTF-8');
  if (countValues(bytes) > FREE_VALUES + bytes.length / BYTES_A_VALUE) throw new FormatError(field, 'has too many values for its size');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let value: unknown;
  let printed: string;
  try {
    value = JSON.parse(text);
    printed = JSON.stringify(value); // a hostile depth ends here, not in the caller
  } catch {
    throw new FormatError(field, 'is not JSON');
  }
  if (printed.includes('\\u')) throw new FormatError(field, 'has an escape that nothing needs');
  if (printed !== text && printed !== withoutSpace(text)) throw new FormatError(field, 'is not in the one accepted form');
  return value;
}

function countValues(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (VALUE_STARTS.has(byte)) count += 1;
  return count;
}

/** A JSON text without the white space between its tokens. No regular expression: of many millions of characters its stack could run over. */
function withoutSpace(text: string): string {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const quote = text.indexOf('"', at);
    const end = quote < 0 ? text.length : quote;
    pushTokens(text, at, end, parts);
    if (quote < 0) break;
    at = endOfString(text, quote);
    parts.push(text.slice(quote, at));
  }
  return parts.join('');
}

function pushTokens(text: string, from: number, end: number, parts: string[]): void {
  for (let at = from, start = from; at <= end; at += 1) {
    if (at < end && !SPACES.has(text.charCodeAt(at))) continue;
    if (at > start) parts.push(text.slice(start, at));
    start = at + 1;
  }
}

function endOfString(text: string, quote: number): number {
  for (let at = quote + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** One value of a parsed file and its name, e.g. `blocks[3].header`: reads it as what it must be. All @throws FormatError naming it. */
export class Field {
  constructor(
    readonly value: unknown,
    readonly name: string,
  ) {}

  /** The members of an object that has exactly these names, in any order; those of `optional` may be absent. */
  object<N extends string>(names: readonly N[], optional: readonly string[] = []): Readonly<Record<N, Field>> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.refuse('is not an object');
    const members = new Map<string, unknown>(Object.entries(value));
    const unknown = [...members.keys()].some((name) => !names.some((known) => known === name));
    if (unknown) throw this.refuse('has an unknown member');
    const entries = names.map((name) => {
      if (!members.has(name) && !optional.includes(name)) throw new FormatError(this.at(name), 'is missing');
      return [name, new Field(members.get(name), this.at(name))] as const;
    });
    return Object.fromEntries(entries) as Record<N, Field>;
  }

  /** The items of an array of at most `most`. */
  items(most: number): Field[] {
    if (!Array.isArray(this.value)) throw this.refuse('is not an array');
    const { value }: { value: readonly unknown[] } = { value: this.value };
    if (value.length > most) throw this.refuse(`has more than ${most} items`);
    return value.map((item, index) => new Field(item, `${this.name}[${index}]`));
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.refuse('is not a text');
    return this.value;
  }

  /** An integer from 0 to `most`. */
  count(most: number): number {
    const { value } = this;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most || Object.is(value, -0)) {
      throw this.refuse(`is not an integer from 0 to ${most}`);
    }
    return value;
  }

  /** Whether the member is not there at all. */
  get absent(): boolean {
    return this.value === undefined;
  }

  refuse(reason: string): FormatError {
    return new FormatError(this.name === '' ? 'file' : this.name, reason);
  }

  private at(name: string): string {
    return this.name === '' ? name : `${this.name}.${name}`;
  }
}
