const CODES = ['malformed_json', 'duplicate_key', 'too_deep', 'too_many_keys', 'bad_character'] as const;
/** Why a text was refused; a closed list. A name JavaScript gives a meaning to (`__proto__` …) counts as `malformed_json`. */
export type JsonTextCode = (typeof CODES)[number];

export const isJsonTextCode = (code: string): code is JsonTextCode => CODES.some((item) => item === code);

/** The text is not strict JSON. The message states the rule only: it never repeats what was sent, which may be personal data. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';

  constructor(
    readonly code: JsonTextCode,
    /** Where, as `resource.code.coding[0]`; the empty string is the whole text. */
    readonly path: string,
    /** UTF-16 code units from the start of the text. */
    readonly offset: number,
    message: string,
  ) {
    super(message);
  }
}

/** `maxDepth`: arrays and objects inside one another; `maxKeys`: properties and array items in the whole text. */
export interface JsonLimits {
  readonly maxDepth: number;
  readonly maxKeys: number;
}

export type JsonPath = readonly (string | number)[];

/** Called once for each value when its end is known. `path` is reused: copy it to keep it. Offsets are those of `text.slice(start, end)`. */
export type OnValue = (path: JsonPath, start: number, end: number) => void;

const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);
const PRINTABLE_NAME = /^[A-Za-z_$][\w$-]{0,63}$/;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SHORT_ESCAPES = '"\\/bfnrt';
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];

/** `['entry', 0, 'resource']` → `entry[0].resource`. A name that is not a plain identifier prints as `*`: names are input too. */
export function formatPath(path: JsonPath): string {
  return path.reduce<string>((done, part) => {
    if (typeof part === 'number') return `${done}[${part}]`;
    if (part === '') return done; // an object's first name is not read yet
    return `${done}${done ? '.' : ''}${PRINTABLE_NAME.test(part) ? part : '*'}`;
  }, '');
}

/**
 * Walks a text by the grammar of RFC 8259 and refuses what `JSON.parse` lets through: duplicate names, NUL, lone surrogates, excess.
 * It keeps its own stack and touches each character once, so neither nesting nor length can exhaust it.
 */
export class JsonScanner {
  private at = 0;
  /** Read so far; the whole is one of them. */
  private values = 0;
  private readonly path: (string | number)[] = [];
  /** One element per open container: an object's names so far, or null for an array. */
  private readonly open: { names: Set<string> | null; start: number }[] = [];

  constructor(
    private readonly text: string,
    private readonly limits: JsonLimits,
    private readonly onValue: OnValue = () => undefined,
  ) {}

  /** Reads the whole text. @throws JsonTextError */
  run(): void {
    if (this.text.charCodeAt(0) === 0xfeff) this.fail('bad_character', 'A byte order mark is not allowed.');
    this.skipSpace();
    do {
      if (!this.readValue()) continue;
      while (this.open.length > 0 && !this.readSeparator());
    } while (this.open.length > 0);
    if (this.at < this.text.length) this.fail('malformed_json', 'Nothing may follow the value.');
  }

  /** Reads a scalar or an empty container (true), or opens a container and stands before its first value (false). */
  private readValue(): boolean {
    const start = this.at;
    const code = this.text.charCodeAt(start);
    if (this.values++ > this.limits.maxKeys) this.fail('too_many_keys', `At most ${this.limits.maxKeys} values are allowed.`, start);
    if (code === 0x7b || code === 0x5b) return this.openContainer(code === 0x7b);
    if (code === QUOTE) this.readString();
    else if (code === 0x74) this.readWord('true');
    else if (code === 0x66) this.readWord('false');
    else if (code === 0x6e) this.readWord('null');
    else this.readNumber();
    this.onValue(this.path, start, this.at);
    this.skipSpace();
    return true;
  }

  private openContainer(isObject: boolean): boolean {
    if (this.open.length >= this.limits.maxDepth) this.fail('too_deep', `At most ${this.limits.maxDepth} levels are allowed.`);
    this.open.push({ names: isObject ? new Set() : null, start: this.at });
    this.at += 1;
    this.skipSpace();
    this.path.push(isObject ? '' : 0);
    if (this.text.charCodeAt(this.at) === (isObject ? 0x7d : 0x5d)) {
      this.close();
      return true;
    }
    if (isObject) this.readName();
    return false;
  }

  /** After a value: a comma leads to the next one (true); a closing bracket ends the container, which is itself a value (false). */
  private readSeparator(): boolean {
    const names = this.open[this.open.length - 1]?.names;
    const code = this.text.charCodeAt(this.at);
    if (code === COMMA) {
      this.at += 1;
      this.skipSpace();
      if (names) this.readName();
      else (this.path[this.path.length - 1] as number) += 1;
      return true;
    }
    if (code !== (names ? 0x7d : 0x5d)) this.fail('malformed_json', 'A comma or a closing bracket is expected.');
    this.close();
    return false;
  }

  private close(): void {
    this.at += 1;
    this.path.pop();
    const frame = this.open.pop();
    if (frame) this.onValue(this.path, frame.start, this.at);
    this.skipSpace();
  }

  private readName(): void {
    const start = this.at;
    if (this.text.charCodeAt(start) !== QUOTE) this.fail('malformed_json', 'A property name in double quotes is expected.');
    const escaped = this.readString();
    const raw = this.text.slice(start, this.at);
    const name = escaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    const names = this.open[this.open.length - 1]?.names;
    this.path[this.path.length - 1] = name;
    if (FORBIDDEN_NAMES.has(name)) this.fail('malformed_json', 'This property name is not allowed.', start);
    if (names?.has(name)) this.fail('duplicate_key', 'A property name occurs twice in one object.', start);
    names?.add(name);
    this.skipSpace();
    if (this.text.charCodeAt(this.at) !== COLON) this.fail('malformed_json', 'A colon is expected after a property name.');
    this.at += 1;
    this.skipSpace();
  }

  /** Reads a string from its opening quote; true when it contains an escape. */
  private readString(): boolean {
    let escaped = false;
    let high = false; // the character before is the first half of a surrogate pair
    for (this.at += 1; ; this.at += 1) {
      let code = this.text.charCodeAt(this.at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        escaped = true;
        code = this.readEscape();
      } else if (!(code >= 0x20))
        this.fail(code === 0 ? 'bad_character' : 'malformed_json', 'A string is not closed or has a control character.');
      if (code === 0) this.fail('bad_character', 'The NUL character is not allowed.');
      if (high !== (code >= 0xdc00 && code <= 0xdfff)) this.fail('bad_character', 'Half a surrogate pair is not a character.');
      high = code >= 0xd800 && code <= 0xdbff;
    }
    if (high) this.fail('bad_character', 'Half a surrogate pair is not a character.');
    this.at += 1;
    return escaped;
  }

  /** Stands on the backslash, leaves `at` on the escape's last character, gives the code unit (a space for the short ones). */
  private readEscape(): number {
    this.at += 1;
    const letter = this.text.charAt(this.at);
    if (letter !== 'u') {
      if (letter === '' || !SHORT_ESCAPES.includes(letter)) this.fail('malformed_json', 'An escape in a string is not known.');
      return 0x20;
    }
    const digits = this.text.slice(this.at + 1, (this.at += 4) + 1);
    return /^[0-9A-Fa-f]{4}$/.test(digits) ? parseInt(digits, 16) : this.fail('malformed_json', 'Four hexadecimal digits are expected.');
  }

  private readWord(word: string): void {
    if (!this.text.startsWith(word, this.at)) this.fail('malformed_json', 'A value is expected.');
    this.at += word.length;
  }

  private readNumber(): void {
    NUMBER.lastIndex = this.at;
    if (!NUMBER.test(this.text))
      this.fail(this.text.charCodeAt(this.at) === 0 ? 'bad_character' : 'malformed_json', 'A value is expected.');
    this.at = NUMBER.lastIndex;
  }

  private skipSpace(): void {
    for (let code = this.text.charCodeAt(this.at); code === 0x20 || (code >= 0x09 && code <= 0x0d && code !== 0x0b && code !== 0x0c);) {
      code = this.text.charCodeAt(++this.at);
    }
  }

  private fail(code: JsonTextCode, message: string, offset = this.at): never {
    throw new JsonTextError(code, formatPath(this.path), offset, message);
  }
}
