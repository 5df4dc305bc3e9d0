import Ajv, { type ValidateFunction } from 'ajv';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './api-client';

interface Operation {
  responses: Record<string, { content?: Record<string, { schema?: object }> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

const file = join(__dirname, '../../openapi.json');
const document: Document | null = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Document) : null;
const validators = new Map<string, ValidateFunction>();
const patterns = Object.keys(document?.paths ?? {}).map((path) => ({
  path,
  // A parameter is one segment, but that of a tile, which is a path of its own.
  pattern: new RegExp(`^${path.replace('{path}', '.+').replace(/\{[^}]+\}/g, '[^/]+')}$`),
}));

function validatorOf(key: string, schema: object): ValidateFunction {
  let found = validators.get(key);
  if (!found) {
    // OpenAPI 3.0 says `nullable` where JSON Schema says a list of types; ajv knows the keyword. Schemas are closed: nothing undocumented is answered.
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    found = ajv.compile({ ...closed(schema), components: closed(document?.components ?? {}) });
    validators.set(key, found);
  }
  return found;
}

function closed(value: object): object {
  return JSON.parse(JSON.stringify(value), (_name, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    const schema = item as { type?: unknown; properties?: unknown; additionalProperties?: unknown; nullable?: unknown; allOf?: unknown };
    // How generators of OpenAPI 3.0 write and read "this reference, or null".
    if (schema.nullable === true && schema.allOf !== undefined) return { anyOf: [{ allOf: schema.allOf }, { type: 'null' }] };
    return schema.type === 'object' && schema.properties && schema.additionalProperties === undefined
      ? { ...schema, additionalProperties: false }
      : schema;
  }) as object;
}

/** Throws when an answer of a documented route has a status, a content type or a body that the document does not name. */
export function assertDocumented(
  method: string,
  address: string,
  answer: Pick<Answer<unknown>, 'status' | 'headers' | 'body' | 'text'>,
): void {
  if (!document) return;
  const path = (address.split('?')[0] ?? '').replace(/\/$/, '');
  const candidates = patterns.filter((item) => item.pattern.test(path)).sort((a, b) => a.path.split('{').length - b.path.split('{').length);
  const operation = candidates
    .map((item) => ({ path: item.path, operation: document.paths[item.path]?.[method.toLowerCase()] }))
    .find((item) => item.operation);
  if (!operation?.operation) return; // no such route: the tests of the edge send such requests
  const name = `${method} ${operation.path} ${answer.status}`;
  const response = operation.operation.responses[String(answer.status)];
  if (!response) throw new Error(`not in openapi.json: ${name}: ${answer.text.slice(0, 300)}`);
  const type = (answer.headers.get('content-type') ?? '').split(';')[0] ?? '';
  if (!response.content) {
    if (answer.text !== '') throw new Error(`openapi.json documents no body: ${name}`);
    return;
  }
  const schema = response.content[type]?.schema;
  if (!schema) throw new Error(`not in openapi.json: ${name} as ${type}`);
  if (!/json/.test(type) || type === 'application/fhir+json') return;
  const validate = validatorOf(name, schema);
  if (!validate(answer.body)) throw new Error(`differs from openapi.json: ${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
}
