import { OperationOutcomeError, validateResource as validateStructure } from '@medplum/core';
import { type ErrorObject } from 'ajv';
import { type JsonPath, formatPath } from '../common/json-text';
import { isObject } from './fhir-content';
import { indexStructure, schemaOf } from './fhir-definitions';

/** What kind of rule a resource breaks; a closed list. */
export type ResourceIssueCode =
  | 'resource_type'
  | 'unknown_element'
  | 'required'
  | 'cardinality'
  | 'type'
  | 'format'
  | 'code'
  | 'choice'
  | 'empty'
  | 'invariant'
  | 'reference'
  | 'active_content'
  | 'structure';

/** One element at fault. */
export interface ResourceIssue {
  /** From the resource, without its name: `code.coding[0].system`; the empty string is the resource itself. */
  readonly path: string;
  readonly code: ResourceIssueCode;
  /** The rule, as a sentence. It never contains what was sent. */
  readonly message: string;
}

type Resource = Record<string, unknown>;

/** More would not help the sender, and an attacker should not choose the size of the answer, nor how often a resource is searched for it. */
export const MAX_RESOURCE_ISSUES = 50;

/** What HL7's JSON schema says: codes, formats, types, unknown elements. */
export function schemaFindings(resourceType: string, resource: Resource): ResourceIssue[] {
  const validate = schemaOf(resourceType);
  if (validate(resource)) return [];
  return (validate.errors ?? [])
    .filter((error) => !(error.data === null && error.keyword === 'type'))
    .slice(0, MAX_RESOURCE_ISSUES)
    .map(fromSchema);
}

function fromSchema(error: ErrorObject): ResourceIssue {
  const params = error.params as { additionalProperty?: string; missingProperty?: string; allowedValues?: string[]; type?: string };
  const parts: JsonPath = error.instancePath.split('/').slice(1).map(pointerPart);
  const at = (name?: string): string => formatPath(name === undefined ? parts : [...parts, name]);
  switch (error.keyword) {
    case 'additionalProperties':
      return { path: at(params.additionalProperty), code: 'unknown_element', message: 'FHIR R4 has no such element here.' };
    case 'required':
      return { path: at(params.missingProperty), code: 'required', message: 'This element is required.' };
    case 'enum':
      return {
        path: at(),
        code: 'code',
        message: `One of these codes is required: ${(params.allowedValues ?? []).slice(0, 20).join(', ')}.`,
      };
    case 'pattern':
      return { path: at(), code: 'format', message: `This is not the form of ${primitiveName(error.schemaPath)}.` };
    case 'type':
      return { path: at(), code: 'type', message: `A JSON ${params.type ?? 'value of another type'} is expected.` };
    default:
      return { path: at(), code: 'structure', message: 'The element does not have the structure that FHIR R4 gives it.' };
  }
}

function pointerPart(part: string): string | number {
  return /^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function primitiveName(schemaPath: string): string {
  const name = /#\/definitions\/([a-z][A-Za-z0-9]*)\/pattern$/.exec(schemaPath)?.[1];
  return name === undefined ? 'its data type' : `the FHIR type ${name}`;
}

/** What @medplum/core reports; `expression` holds the path with the resource's name in front. */
interface Finding {
  readonly details?: { readonly text?: string };
  readonly expression?: readonly string[];
}

/** What the structure definitions say: cardinality, required primitives, invariants, choices, types of references. */
export function structureFindings(resourceType: string, resource: Resource): ResourceIssue[] {
  indexStructure(resourceType);
  let findings: readonly Finding[];
  try {
    findings = validateStructure(resource) as Finding[];
  } catch (error) {
    // Any other error comes from content of a shape that the library did not expect.
    const { outcome } = error as { outcome?: { issue?: readonly Finding[] } };
    findings = (error instanceof OperationOutcomeError && outcome?.issue) || [{}];
  }
  const issues: ResourceIssue[] = [];
  const found: Found = new Map();
  for (const finding of findings) {
    // What is let be does not count, or it could hide what is not.
    if (issues.length >= MAX_RESOURCE_ISSUES) break;
    const issue = fromStructure(finding, resourceType, resource, found);
    if (issue) issues.push(issue);
  }
  return issues;
}

/** The library's sentences, some of which quote values, and ours, which do not. */
const SENTENCES: readonly [pattern: RegExp, code: ResourceIssueCode, message: string][] = [
  [/^Missing required property/, 'required', 'This element is required.'],
  [/^Invalid additional property/, 'unknown_element', 'FHIR R4 has no such element here.'],
  [/^Invalid number of values|^Incorrect number of values/, 'cardinality', 'There are too few or too many of this element.'],
  [/^Expected array of values/, 'cardinality', 'This element repeats: an array is expected.'],
  [/^Expected single value/, 'cardinality', 'This element does not repeat: an array is not allowed.'],
  [/empty|null value|undefined value|non-whitespace/, 'empty', 'An element must have a value or children.'],
  [/^Invalid JSON type/, 'type', 'Another JSON type is expected.'],
  [/^Invalid \w+ format|^Invalid numeric value|^Expected number/, 'format', 'This is not the form of its FHIR type.'],
  [/^String cannot be larger/, 'format', 'A string is at most 1 MiB long.'],
];

/** Where a fault of a choice was found first: the library repeats itself for each element, and each search walks the whole resource. */
type Found = Map<string, JsonPath | undefined>;

function fromStructure(finding: Finding, resourceType: string, resource: Resource, found: Found): ResourceIssue | undefined {
  const text = finding.details?.text ?? '';
  const expression = finding.expression?.[0] ?? '';
  const key = `${text} ${expression}`;
  if (!found.has(key)) found.set(key, choiceFault(text, expression, resource));
  const choice = found.get(key);
  if (choice) return { path: formatPath(choice), code: 'choice', message: 'Only one element of a choice may have a value.' };
  const path = actualPath(expression, resourceType, resource);
  if (text.startsWith('Invalid reference: got'))
    return isWrongTarget(text, path) ? { path, code: 'reference', message: WRONG_TARGET } : undefined;
  const invariant = /^Constraint ([\w-]+) not met: (.*)$/s.exec(text);
  if (invariant) return { path, code: 'invariant', message: `Rule ${invariant[1] ?? ''}: ${invariant[2] ?? ''}` };
  const known = SENTENCES.find(([pattern]) => pattern.test(text));
  if (!known) return { path, code: 'structure', message: 'The element does not have the structure that FHIR R4 gives it.' };
  // A string where an object belongs is reported letter by letter.
  if (known[1] === 'unknown_element' && /\.\d+$/.test(path))
    return { path: path.replace(/\.\d+$/, ''), code: 'type', message: 'A JSON object is expected.' };
  // A name that is not plain comes from the JSON schema already, and printed safely.
  if (known[1] === 'unknown_element' && !PLAIN_PATH.test(path)) return undefined;
  return { path: PLAIN_PATH.test(path) ? path : '*', code: known[1], message: known[2] };
}

/** A choice with two values, or a value of one type with an extension (`_value…`) of another: the library warns, FHIR forbids. */
function choiceFault(text: string, expression: string, resource: Resource): JsonPath | undefined {
  const [, second = '', first = ''] = /^Conflicting choice of type properties: "(\w+)", "(\w+)"/.exec(text) ?? [];
  if (second) return find(resource, (names) => (names.includes(first) && names.includes(second) ? second : undefined)) ?? [second];
  if (!text.startsWith('Type of primitive extension')) return undefined;
  const base = expression.replace(/^_|\[x\]$/g, '');
  return find(resource, (names) => {
    const twin = names.find((name) => name.startsWith(`_${base}`) && !names.includes(name.slice(1)));
    return twin !== undefined && names.some((name) => choiceName(name, base)) ? twin : undefined;
  });
}

/** The library names the properties of a faulty choice but not the element that has them. */
function find(value: unknown, pick: (names: string[]) => string | undefined): JsonPath | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const picked = Array.isArray(value) ? undefined : pick(Object.keys(value));
  if (picked !== undefined) return [picked];
  for (const [name, child] of Object.entries(value)) {
    const path = find(child, pick);
    if (path) return [Array.isArray(value) ? Number(name) : name, ...path];
  }
  return undefined;
}

const choiceName = (name: string, base: string): boolean => name.startsWith(base) && /^[A-Z]/.test(name.slice(base.length));

const WRONG_TARGET = 'A resource of this type may not stand here.';

/**
 * Whom and which visit a record is about must be of the right type. Elsewhere HL7's own examples stray (MedicationRequest medrx0301 has a
 * Practitioner where an Organization belongs), so others are let be. `urn:uuid:…` does not tell its type; `Location/1` does.
 */
function isWrongTarget(text: string, path: string): boolean {
  return /^Invalid reference: got "[A-Z]\w*"/.test(text) && /(?:^|\.)(?:subject|patient|beneficiary|encounter)$/.test(path);
}

const PLAIN_PATH = /^[\w.$[\]-]{0,300}$/;

/** The expression without the resource's name, and each `value[x]` with the name that the resource gave it. */
function actualPath(expression: string, resourceType: string, resource: Resource): string {
  const path =
    expression === resourceType ? '' : expression.startsWith(`${resourceType}.`) ? expression.slice(resourceType.length + 1) : expression;
  if (!path.includes('[x]')) return path;
  let at: unknown = resource;
  return path
    .split('.')
    .map((part) => {
      const [, name = part, index] = /^(\w+)\[(\d+)\]$/.exec(part) ?? [];
      const base = name.endsWith('[x]') ? name.slice(0, -3) : undefined;
      const actual = base !== undefined && isObject(at) ? (Object.keys(at).find((key) => choiceName(key, base)) ?? name) : name;
      at = isObject(at) ? at[actual] : undefined;
      if (index !== undefined) at = Array.isArray(at) ? (at as unknown[])[Number(index)] : undefined;
      return index === undefined ? actual : `${actual}[${index}]`;
    })
    .join('.');
}
