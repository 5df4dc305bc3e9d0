import { setImmediate as nextTurn } from 'node:timers/promises';
import { type JsonLimits, type JsonTextCode, JsonTextError, exactTexts, formatPath, parseStrictJson } from '../common/json-text';
import { isObject } from '../record/fhir-content';
import { type ResourceIssueCode, validateResource } from '../record/fhir-validation';
import { ATTACHMENT_EXTENSION } from '../record/resources';
import { BundleReferences, type BundleResource } from './bundle-references';

export type { BundleResource } from './bundle-references';

export type BundleIssueCode =
  | ResourceIssueCode
  | JsonTextCode
  | 'not_a_bundle'
  | 'bundle_type'
  | 'no_entries'
  | 'too_many_entries'
  | 'too_large'
  | 'reserved_extension'
  | 'no_resource'
  | 'method'
  | 'duplicate_full_url'
  | 'no_patient'
  | 'second_patient'
  | 'unresolved_reference'
  | 'other_patient';

/** One element at fault: `entry[12].resource.code`. The message is the rule and never contains what was sent. */
export interface BundleIssue {
  readonly path: string;
  readonly code: BundleIssueCode;
  readonly message: string;
}

/** The bundle cannot be imported; nothing of it was. At most `MAX_BUNDLE_ISSUES` issues, in the order of the entries. */
export class BundleError extends Error {
  override readonly name = 'BundleError';

  constructor(readonly issues: readonly BundleIssue[]) {
    super(`The bundle has ${issues.length} issue(s)`);
  }
}

/** One patient, the chart's resources, and those whom they mention. */
export interface PatientBundle {
  readonly kind: 'patient';
  readonly patient: BundleResource;
  /** Everything that is neither the patient nor of the directory, claims and provenance too: nothing is lost. In the order of the bundle. */
  readonly clinical: readonly BundleResource[];
  readonly directory: readonly BundleResource[];
}

/** Hospitals and professionals only. */
export interface DirectoryBundle {
  readonly kind: 'directory';
  readonly directory: readonly BundleResource[];
}

export const MAX_BUNDLE_ISSUES = 20;
/** Synthea's largest bundle has 120,000 values; the size of the body is limited before. */
export const BUNDLE_JSON_LIMITS: JsonLimits = { maxDepth: 40, maxKeys: 500_000 };
/** The import of one bundle holds the one write lock; Synthea's largest directory has 2,382. */
export const MAX_ENTRIES = 3_000;
/** In UTF-16 code units; the largest of Synthea's has 52,000. */
export const MAX_RESOURCE_TEXT = 1_048_576;
export const DIRECTORY_TYPES: ReadonlySet<string> = new Set(['Location', 'Organization', 'Practitioner', 'PractitionerRole']);

/** After so long a bundle lets other requests be served, ms: one resource may take a thousand times as long as another. */
const TURN_MS = 8;
const BUNDLE_TYPES: ReadonlySet<unknown> = new Set(['batch', 'collection', 'document', 'searchset', 'transaction']);
const ENTRY_ELEMENTS = new Set(['id', 'extension', 'modifierExtension', 'link', 'fullUrl', 'resource', 'search', 'request', 'response']);

/**
 * Reads a FHIR R4 bundle (batch, collection, document, searchset or transaction) of one patient's chart, or of a directory.
 * Each resource is validated, references inside the bundle resolve, and no entry is about another patient. A conditional reference
 * (`Practitioner?identifier=…`) to something outside is left to the caller. It takes some 0.5 ms per resource and lets others work in between.
 * @throws BundleError with every issue found, up to 20
 */
export async function readBundle(text: string, limits: Partial<JsonLimits> = {}): Promise<PatientBundle | DirectoryBundle> {
  const issues: BundleIssue[] = [];
  const resources = readEntries(text, limits, issues);
  const [patient, ...others] = resources.filter(({ resourceType }) => resourceType === 'Patient');
  for (const other of others) issues.push(at(other.index, 'resource', 'second_patient', 'A bundle holds the chart of one patient.'));
  const isDirectory = resources.every(({ resourceType }) => DIRECTORY_TYPES.has(resourceType));
  if (!patient && !isDirectory && issues.length === 0) {
    issues.push({ path: 'entry', code: 'no_patient', message: 'A bundle with clinical resources holds their patient too.' });
  }
  const references = new BundleReferences(resources, patient);
  let turn = performance.now();
  for (const item of resources) {
    if (issues.length >= MAX_BUNDLE_ISSUES) break;
    issues.push(...issuesOf(item, references));
    if (performance.now() - turn < TURN_MS) continue;
    await nextTurn();
    turn = performance.now();
  }
  if (issues.length > 0) throw new BundleError(inOrder(issues).slice(0, MAX_BUNDLE_ISSUES));
  const directory = resources.filter(({ resourceType }) => DIRECTORY_TYPES.has(resourceType));
  if (!patient) return { kind: 'directory', directory };
  const clinical = resources.filter((item) => item !== patient && !DIRECTORY_TYPES.has(item.resourceType));
  return { kind: 'patient', patient, clinical, directory };
}

/** The frame of the bundle and its resources' texts. What cannot be read as entries ends it at once; faulty entries are reported and left out. */
function readEntries(text: string, limits: Partial<JsonLimits>, issues: BundleIssue[]): BundleResource[] {
  const bundle = readJson(text, limits);
  const refuse = (path: string, code: BundleIssueCode, message: string): never => {
    throw new BundleError([{ path, code, message }]);
  };
  if (!isObject(bundle) || bundle['resourceType'] !== 'Bundle') return refuse('', 'not_a_bundle', 'A FHIR R4 Bundle is expected.');
  if (!BUNDLE_TYPES.has(bundle['type'])) {
    return refuse('type', 'bundle_type', 'The type must be transaction, batch, collection, searchset or document.');
  }
  const { entry: entries, ...frame } = bundle;
  if (!Array.isArray(entries) || entries.length === 0) return refuse('entry', 'no_entries', 'A bundle has at least one entry.');
  if (entries.length > MAX_ENTRIES) return refuse('entry', 'too_many_entries', `A bundle has at most ${MAX_ENTRIES} entries; divide it.`);
  // Invariants of a bundle speak of its entries, which the frame does not have.
  issues.push(...validateResource(frame).filter(({ code }) => code !== 'invariant'));
  const texts = exactTexts(text, ['entry'], 'resource');
  const urls = new Set<string>();
  return (entries as unknown[]).flatMap((entry, index) => readEntry(entry, index, texts[index], urls, issues) ?? []);
}

function readJson(text: string, limits: Partial<JsonLimits>): unknown {
  try {
    return parseStrictJson(text, { ...BUNDLE_JSON_LIMITS, ...limits });
  } catch (error) {
    if (error instanceof JsonTextError) throw new BundleError([{ path: error.path, code: error.code, message: error.message }]);
    throw error;
  }
}

function readEntry(
  entry: unknown,
  index: number,
  text: string | undefined,
  urls: Set<string>,
  issues: BundleIssue[],
): BundleResource | undefined {
  const fault = (path: string, code: BundleIssueCode, message: string): undefined => void issues.push(at(index, path, code, message));
  if (!isObject(entry)) return fault('', 'structure', 'An entry must be a JSON object.');
  const { fullUrl, resource, request, search } = entry;
  for (const name of Object.keys(entry)) {
    if (!ENTRY_ELEMENTS.has(name)) fault(formatPath([name]), 'unknown_element', 'FHIR R4 has no such element here.');
  }
  const method = isObject(request) ? request['method'] : 'POST';
  if (method !== 'POST' && method !== 'PUT')
    return fault('request.method', 'method', 'Only entries that create (POST or PUT) are imported.');
  // A searchset may carry the server's remarks about the search: no part of a chart.
  if (isObject(search) && search['mode'] === 'outcome') return undefined;
  if (fullUrl !== undefined && typeof fullUrl !== 'string') return fault('fullUrl', 'type', 'A JSON string is expected.');
  if (!isObject(resource) || text === undefined) return fault('resource', 'no_resource', 'An entry must hold a resource.');
  if (text.length > MAX_RESOURCE_TEXT) return fault('resource', 'too_large', 'A resource is at most 1 MiB long.');
  if (fullUrl !== undefined && urls.has(fullUrl)) return fault('fullUrl', 'duplicate_full_url', 'Two entries have the same fullUrl.');
  if (fullUrl !== undefined) urls.add(fullUrl);
  const resourceType = typeof resource['resourceType'] === 'string' ? resource['resourceType'] : '';
  return { index, fullUrl, resourceType, text, resource };
}

function issuesOf(item: BundleResource, references: BundleReferences): BundleIssue[] {
  const found: BundleIssue[] = validateResource(item.resource);
  // Our own extension says that the seal covers a file; an imported resource has none.
  if (found.length === 0 && namesAttachments(item.resource))
    found.push({ path: 'extension', code: 'reserved_extension', message: 'This extension names files of this server.' });
  if (found.length > 0)
    return found.map(({ path, code, message }) => at(item.index, path ? `resource.${path}` : 'resource', code, message));
  return references.faultsOf(item).map(({ path, code, message }) => at(item.index, formatPath(['resource', ...path]), code, message));
}

function namesAttachments({ extension }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(extension) && extension.some((item: unknown) => isObject(item) && item['url'] === ATTACHMENT_EXTENSION);
}

function at(index: number, path: string, code: BundleIssueCode, message: string): BundleIssue {
  return { path: path ? `entry[${index}].${path}` : `entry[${index}]`, code, message };
}

function inOrder(issues: readonly BundleIssue[]): BundleIssue[] {
  const position = ({ path }: BundleIssue): number => Number(/^entry\[(\d+)\]/.exec(path)?.[1] ?? -1);
  return [...issues].sort((a, b) => position(a) - position(b));
}
