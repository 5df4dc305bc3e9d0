import { JsonLimits, JsonPath, JsonScanner, JsonTextError, formatPath } from './json-scanner';

export { JsonTextError, formatPath, isJsonTextCode } from './json-scanner';
export type { JsonLimits, JsonPath, JsonTextCode } from './json-scanner';

/** What a single resource may need; a bundle passes more. */
export const DEFAULT_JSON_LIMITS: JsonLimits = { maxDepth: 32, maxKeys: 1000 };
const UNLIMITED: JsonLimits = { maxDepth: Infinity, maxKeys: Infinity };

/**
 * The value of a strict JSON text (RFC 8259). Beyond `JSON.parse` it refuses duplicate names, the names `__proto__`, `constructor` and
 * `prototype`, NUL and lone surrogates (as `\u` escapes too), a byte order mark, and more depth or properties than the limits: two readers
 * of one sealed text must not see two contents. Numbers lose their text here as always; `exactText` gives it back.
 * @throws JsonTextError
 */
export function parseStrictJson(text: string, limits: Partial<JsonLimits> = {}): unknown {
  new JsonScanner(text, { ...DEFAULT_JSON_LIMITS, ...limits }).run();
  return JSON.parse(text);
}

/**
 * The source text of the value at a path, exactly as it was sent (`27.0` stays `27.0`); undefined when nothing is there.
 * @throws JsonTextError when the text is not strict JSON (no limit of depth or number applies: the text was read before)
 */
export function exactText(text: string, path: JsonPath): string | undefined {
  let found: string | undefined;
  new JsonScanner(text, UNLIMITED, (at, start, end) => {
    if (at.length === path.length && at.every((part, i) => part === path[i])) found = text.slice(start, end);
  }).run();
  return found;
}

/**
 * The source texts of an array's items in one pass; with `member`, of that property of each item. Position i belongs to item i and is
 * undefined where an item has no such property: `exactTexts(bundle, ['entry'], 'resource')`. Empty when there is no array at the path.
 * @throws JsonTextError as `exactText`
 */
export function exactTexts(text: string, arrayPath: JsonPath, member?: string): (string | undefined)[] {
  const depth = arrayPath.length;
  const wanted = depth + (member === undefined ? 1 : 2);
  const found: (string | undefined)[] = [];
  new JsonScanner(text, UNLIMITED, (at, start, end) => {
    if (at.length !== wanted && at.length !== depth + 1) return;
    const index = at[depth];
    if (typeof index !== 'number' || !arrayPath.every((part, i) => part === at[i])) return;
    if (at.length === wanted && (member === undefined || at[depth + 1] === member)) found[index] = text.slice(start, end);
    else if (at.length < wanted && found.length <= index) found[index] = undefined;
  }).run();
  return Array.from(found);
}

/**
 * Adds one extension to a resource's text and leaves every other character as it was: after the last item of the top-level `extension`
 * array, or as a new property at the end.
 * @throws JsonTextError when either text is not a JSON object, or `extension` is there and not an array
 */
export function withExtension(resourceText: string, extensionJson: string): string {
  const addition = extensionJson.trim();
  new JsonScanner(addition, UNLIMITED).run();
  if (!addition.startsWith('{')) throw notWhatWasExpected('An extension must be an object.', []);
  let whole = 0;
  let lastProperty = 0;
  let array = 0;
  let lastItem = 0;
  new JsonScanner(resourceText, UNLIMITED, (at, start, end) => {
    if (at.length === 0) whole = resourceText[start] === '{' ? start + 1 : 0;
    if (at.length === 1) lastProperty = end;
    if (at[0] !== 'extension') return;
    if (at.length === 1 && resourceText[start] !== '[') throw notWhatWasExpected('The extensions must be an array.', at);
    if (at.length === 1) array = start + 1;
    if (at.length === 2) lastItem = end;
  }).run();
  if (whole === 0) throw notWhatWasExpected('A resource must be an object.', []);
  const insert = (offset: number, text: string): string => resourceText.slice(0, offset) + text + resourceText.slice(offset);
  if (array > 0) return lastItem > 0 ? insert(lastItem, `,${addition}`) : insert(array, addition);
  return lastProperty > 0 ? insert(lastProperty, `,"extension":[${addition}]`) : insert(whole, `"extension":[${addition}]`);
}

function notWhatWasExpected(message: string, path: JsonPath): JsonTextError {
  return new JsonTextError('malformed_json', formatPath(path), 0, message);
}
