import { type JsonPath } from '../common/json-text';
import { narrativeFault } from './narrative';

/** What a walk over a resource's tree meets, whatever its type. */
export interface Content {
  readonly faults: { readonly path: JsonPath; readonly code: 'empty' | 'active_content' | 'structure'; readonly message: string }[];
  /** Resources inside the resource: `contained[i]`, a bundle's `entry[i].resource`. The walk does not enter them. */
  readonly nested: { readonly path: JsonPath; readonly value: unknown }[];
  /** References to `contained` resources: `#id`. */
  readonly localReferences: { readonly path: JsonPath; readonly id: string }[];
}

/** Deeper than any real resource, and far below what would exhaust the stack of the recursive validators. */
export const MAX_DEPTH = 64;
/** Objects, arrays and scalars in one resource, all that it contains included. Synthea's largest has 1,859. */
export const MAX_VALUES = 10_000;
const NESTED_NAMES = new Set(['resource', 'outcome']);

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Is it beyond `MAX_VALUES`? Stops there, and needs no stack, so it is safe before every other check. */
export function hasTooManyValues(resource: unknown): boolean {
  const open: unknown[] = [resource];
  for (let count = 0; open.length > 0; count += 1) {
    if (count + open.length > MAX_VALUES) return true;
    const value = open.pop();
    if (typeof value !== 'object' || value === null) continue;
    const children: unknown[] = Object.values(value);
    if (children.length > MAX_VALUES) return true;
    for (const child of children) open.push(child);
  }
  return false;
}

/** Looks at what JSON schema and structure definitions do not say: emptiness, nulls, active content, resources inside. */
export function walkContent(resource: Record<string, unknown>): Content {
  const content: Content = { faults: [], nested: [], localReferences: [] };
  walkObject(resource, [], content);
  return content;
}

function walkObject(object: Record<string, unknown>, path: JsonPath, content: Content): void {
  const names = Object.keys(object);
  if (names.length === 0) content.faults.push({ path, code: 'empty', message: 'An element must have a value or children.' });
  for (const name of names) {
    const value = object[name];
    const here = [...path, name];
    if (path.length === 0 && name === 'contained' && Array.isArray(value) && value.length > 0) {
      value.forEach((item: unknown, index) => content.nested.push({ path: [...here, index], value: item }));
    } else if (NESTED_NAMES.has(name) && isObject(value) && 'resourceType' in value) {
      content.nested.push({ path: here, value });
    } else if (Array.isArray(value)) {
      walkArray(value, here, object[name.startsWith('_') ? name.slice(1) : `_${name}`], content);
    } else {
      walkValue(value, here, content);
    }
  }
}

/** In an array of primitives a null keeps the place of an item that only the `_` twin describes (FHIR R4, JSON format). */
function walkArray(array: readonly unknown[], path: JsonPath, twin: unknown, content: Content): void {
  if (array.length === 0) content.faults.push({ path, code: 'empty', message: 'An array must have at least one item.' });
  array.forEach((item, index) => {
    if (
      item === null &&
      Array.isArray(twin) &&
      isObject(twin[index]) !== (typeof twin[index] === 'string' || typeof twin[index] === 'number')
    )
      return;
    if (Array.isArray(item))
      content.faults.push({ path: [...path, index], code: 'structure', message: 'FHIR has no arrays inside arrays.' });
    else walkValue(item, [...path, index], content);
  });
}

function walkValue(value: unknown, path: JsonPath, content: Content): void {
  if (value === null) content.faults.push({ path, code: 'empty', message: 'Null is not a value: leave the element out.' });
  else if (isObject(value)) {
    if (path.length >= MAX_DEPTH)
      content.faults.push({ path: path.slice(0, 8), code: 'structure', message: 'The resource is nested too deeply.' });
    else walkObject(value, path, content);
  } else if (typeof value === 'string') walkString(value, path, content);
}

function walkString(value: string, path: JsonPath, content: Content): void {
  const name = path[path.length - 1];
  if (name === 'reference' && value.startsWith('#') && value.length > 1) content.localReferences.push({ path, id: value.slice(1) });
  if (value.trim() === '') content.faults.push({ path, code: 'empty', message: 'A string must not be empty or blank.' });
  if (name !== 'div') return;
  const fault = narrativeFault(value);
  if (fault !== undefined) content.faults.push({ path, code: 'active_content', message: fault });
}
