import fc from 'fast-check';
import { omit } from '../support/omit';
import { CONTENT_TYPES, HEADERS, JSON_TEXTS, MARKER, METHODS, NAMES, QUERIES, STRINGS } from './naughty';

/** A request that can be sent as it stands. */
export interface Draft {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string | Uint8Array | undefined;
}

/** One change; the names and numbers in it are what a failure prints. */
export type Mutation = readonly [kind: Kind, where: number, what: number];
const KINDS = [
  'replace',
  'add',
  'remove',
  'twice',
  'wrap',
  'cut',
  'flip',
  'type',
  'query',
  'segment',
  'header',
  'method',
  'empty',
] as const;
type Kind = (typeof KINDS)[number];

const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;
/** Stands in the value for a text that JSON.stringify would not write. */
const HOLE = '@@hole@@';

/** A value as JSON text: any type, or a naughty string with the marker behind it. */
function valueText(what: number): string {
  const texts = JSON_TEXTS.length;
  if (what % (texts + STRINGS.length) < texts) return at(JSON_TEXTS, what % (texts + STRINGS.length));
  const text = at(STRINGS, what);
  return JSON.stringify(what % 2 === 0 ? text : text + MARKER);
}

type Node = Record<string, unknown> | unknown[];
interface Place {
  readonly parent: Node | null;
  readonly key: string | number;
  readonly value: unknown;
}

function placesOf(value: unknown, parent: Node | null = null, key: string | number = ''): Place[] {
  const here: Place = { parent, key, value };
  if (typeof value !== 'object' || value === null) return [here];
  return [here, ...Object.entries(value).flatMap(([name, item]) => placesOf(item, value as Node, name))];
}

/** The JSON text of a body with one change, or undefined when there is nothing to change. */
function changedJson(text: string, [kind, where, what]: Mutation): string | undefined {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return undefined; // an earlier change made it something else
  }
  const places = placesOf(root);
  const objects = places.filter(({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value));
  const { parent, key, value } = at(kind === 'add' || kind === 'twice' ? (objects.length > 0 ? objects : places) : places, where);
  let hole = valueText(what);
  if (kind === 'replace' || kind === 'wrap') {
    if (kind === 'wrap') hole = `[${JSON.stringify(value)}]`;
    if (parent === null) root = HOLE;
    else Reflect.set(parent, key, HOLE);
  } else if (kind === 'remove' && parent !== null) {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else Reflect.deleteProperty(parent, key);
  } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const name = kind === 'twice' ? (Object.keys(value)[0] ?? 'a') : at(NAMES, what);
    Reflect.set(value, HOLE, 0);
    return JSON.stringify(root).replace(`${JSON.stringify(HOLE)}:0`, () => `${JSON.stringify(name)}:${hole}`);
  }
  return JSON.stringify(root).replace(JSON.stringify(HOLE), () => hole);
}

function changedBody(draft: Draft, mutation: Mutation): Draft {
  const [kind, where] = mutation;
  const { body } = draft;
  if (typeof body !== 'string') return draft;
  if (kind === 'empty') return { ...draft, body: '' };
  if (kind === 'cut') return { ...draft, body: body.slice(0, where % (body.length + 1)) };
  if (kind === 'flip') {
    const bytes = Buffer.from(body);
    if (bytes.length > 0) bytes[where % bytes.length] = mutation[2] % 256;
    return { ...draft, body: bytes };
  }
  return { ...draft, body: changedJson(body, mutation) ?? body };
}

/** Percent-encoded; half a surrogate pair has no UTF-8 and becomes U+FFFD. */
const encoded = (text: string) => encodeURIComponent(Buffer.from(text).toString());
/** What may stand in a request line: the client refuses the rest, and bytes beyond are sent by other tests. */
const pathSafe = (text: string) => text.replace(/[^\x21-\x7e]+/g, encoded);

function changedPath({ path, ...rest }: Draft, [, where, what]: Mutation): Draft {
  const [address = '', query] = path.split('?');
  const segments = address.split('/');
  const index = 1 + (where % (segments.length - 1));
  const text = at(STRINGS, what).slice(0, 2_000);
  segments[index] = what % 3 === 0 ? text.replaceAll('?', '') : encoded(text) + (what % 2 === 0 ? MARKER : '');
  return { ...rest, path: pathSafe(`${segments.join('/')}${query === undefined ? '' : `?${query}`}`) || '/' };
}

function withHeader(draft: Draft, name: string, value: string | string[]): Draft {
  return { ...draft, headers: Object.fromEntries([...Object.entries(draft.headers), [name, value]]) };
}

function changed(draft: Draft, mutation: Mutation): Draft {
  const [kind, , what] = mutation;
  const type = at(CONTENT_TYPES, what);
  if (kind === 'type')
    return type === '' ? { ...draft, headers: omit(draft.headers, 'content-type') } : withHeader(draft, 'content-type', type);
  if (kind === 'query') return { ...draft, path: `${draft.path}${draft.path.includes('?') ? '&' : '?'}${at(QUERIES, what)}` };
  if (kind === 'segment') return changedPath(draft, mutation);
  if (kind === 'header') return withHeader(draft, ...at(HEADERS, what));
  if (kind === 'method') return { ...draft, method: at(METHODS, what) };
  return changedBody(draft, mutation);
}

export function mutate(draft: Draft, mutations: readonly Mutation[]): Draft {
  return mutations.reduce(changed, draft);
}

const number = fc.nat({ max: 10_000 });
/** One to three changes. Requests with a body are changed there most of the time. */
export function mutations(hasBody: boolean): fc.Arbitrary<Mutation[]> {
  const inBody = KINDS.slice(0, 7).filter((kind) => kind !== 'cut' && kind !== 'flip');
  const kinds = hasBody ? [...KINDS, ...inBody, ...inBody] : KINDS.slice(7, -1);
  return fc.array(fc.tuple(fc.constantFrom(...kinds), number, number), { minLength: 1, maxLength: 3 });
}
