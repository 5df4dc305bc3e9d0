/**
 * A piece of JSON text that goes into an answer byte for byte. `JSON.parse` and `JSON.stringify` would turn `27.0` into `27`;
 * clinical decimals carry their precision in their text (FHIR R4, datatype decimal).
 */
export class RawJson {
  constructor(readonly text: string) {}

  /** For code that only looks: a parsed copy, decimals without their text. */
  parse(): unknown {
    return JSON.parse(this.text);
  }
}

/** `JSON.stringify` that writes each `RawJson` as its own text. */
export function stringifyExact(value: unknown): string {
  if (value === undefined) return '';
  const pieces: string[] = [];
  // A marker that no string of the value can spell: its NUL character is refused in all input.
  const text = JSON.stringify(value, (_key, item: unknown) => (item instanceof RawJson ? `\u0000${pieces.push(item.text) - 1}` : item));
  if (pieces.length === 0) return text;
  return text.replace(/"\\u0000(\d+)"/g, (_all, index: string) => pieces[Number(index)] ?? 'null');
}
