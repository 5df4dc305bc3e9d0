import { type JsonPath, formatPath } from '../common/json-text';
import { MAX_DEPTH, MAX_VALUES, hasTooManyValues, isObject, walkContent } from './fhir-content';
import { indexStructure, isResourceType } from './fhir-definitions';
import { MAX_RESOURCE_ISSUES, type ResourceIssue, type ResourceIssueCode, schemaFindings, structureFindings } from './fhir-findings';

export { MAX_RESOURCE_ISSUES, type ResourceIssue, type ResourceIssueCode } from './fhir-findings';
export { isResourceType } from './fhir-definitions';

/** Resource types that a professional may record in a patient's chart. */
export const CLINICAL_TYPES = [
  'AdverseEvent',
  'AllergyIntolerance',
  'CarePlan',
  'CareTeam',
  'ClinicalImpression',
  'Communication',
  'Condition',
  'DetectedIssue',
  'DeviceUseStatement',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'EpisodeOfCare',
  'FamilyMemberHistory',
  'Flag',
  'Goal',
  'ImagingStudy',
  'Immunization',
  'Media',
  'MedicationAdministration',
  'MedicationDispense',
  'MedicationRequest',
  'MedicationStatement',
  'NutritionOrder',
  'Observation',
  'Procedure',
  'QuestionnaireResponse',
  'RiskAssessment',
  'ServiceRequest',
  'Specimen',
] as const;

export type ClinicalType = (typeof CLINICAL_TYPES)[number];

const CLINICAL: ReadonlySet<string> = new Set(CLINICAL_TYPES);

export function isClinicalType(name: string): name is ClinicalType {
  return CLINICAL.has(name);
}

/**
 * Everything found wrong with a FHIR R4 (4.0.1) resource, at most 50 issues; empty means valid. A resource of more than 10,000 values
 * is not looked at any further. Paths start at the resource, without its name.
 *
 * Two validators, since neither alone is enough: HL7's JSON schema finds wrong codes, formats and unknown elements; the structure definitions
 * (@medplum/core) find missing elements, cardinality and invariants. Added are empty elements, active content in narratives, and references to
 * contained resources that are not there. Codes in a CodeableConcept are taken as given. Definitions are read at the first call.
 */
export function validateResource(value: unknown): ResourceIssue[] {
  const issues = new Map<string, ResourceIssue>();
  if (hasTooManyValues(value)) return [{ path: '', code: 'structure', message: `A resource has at most ${MAX_VALUES} values.` }];
  validateInto(value, [], undefined, issues);
  return [...issues.values()];
}

type Add = (path: string, code: ResourceIssueCode, message: string) => void;

/** One fault, one issue: both validators often see the same, so the first at an element counts; a resource as a whole may break several rules. */
function collector(at: JsonPath, issues: Map<string, ResourceIssue>): Add {
  const prefix = formatPath(at);
  return (path, code, message) => {
    const full = prefix && path ? `${prefix}.${path}` : prefix || path;
    const key = path === '' ? `${full} ${message}` : full;
    if (issues.size < MAX_RESOURCE_ISSUES && !issues.has(key)) issues.set(key, { path: full, code, message });
  };
}

function validateInto(
  value: unknown,
  at: JsonPath,
  containerIds: ReadonlySet<unknown> | undefined,
  issues: Map<string, ResourceIssue>,
): void {
  const add = collector(at, issues);
  if (!isObject(value)) return add('', 'structure', 'A resource must be a JSON object.');
  if (at.length >= MAX_DEPTH) return add('', 'structure', 'The resource is nested too deeply.');
  const type = value['resourceType'];
  if (typeof type !== 'string') return add('resourceType', 'resource_type', 'The resource type is missing.');
  if (!isResourceType(type)) return add('resourceType', 'resource_type', 'FHIR R4 has no such resource type.');

  const content = walkContent(value);
  for (const { path, code, message } of content.faults) add(formatPath(path), code, message);
  // Recursive validators must not meet a tree that is too deep for the walk.
  if (content.faults.some(({ code }) => code === 'structure')) return;
  const ids = containerIds ?? containedIds(value);
  for (const { path, id } of content.localReferences) {
    if (!ids.has(id)) add(formatPath(path), 'reference', 'There is no contained resource with this id.');
  }
  for (const inner of content.nested) {
    if (issues.size >= MAX_RESOURCE_ISSUES) return;
    validateInto(inner.value, [...at, ...inner.path], inner.path[0] === 'contained' ? ids : undefined, issues);
    indexIfKnown(inner.value);
  }
  for (const { path, code, message } of schemaFindings(type, value)) add(path, code, message);
  if (issues.size >= MAX_RESOURCE_ISSUES) return;
  for (const { path, code, message } of structureFindings(type, value)) {
    // The library gave up on content of a shape that others have described already.
    if (path !== '' || code !== 'structure' || issues.size === 0) add(path, code, message);
  }
}

function containedIds(resource: Record<string, unknown>): ReadonlySet<unknown> {
  const contained = Array.isArray(resource['contained']) ? (resource['contained'] as unknown[]) : [];
  return new Set(contained.map((item) => (isObject(item) ? item['id'] : undefined)));
}

/** The structure check of a resource walks into those that it contains. */
function indexIfKnown(inner: unknown): void {
  const type = isObject(inner) ? inner['resourceType'] : undefined;
  if (typeof type === 'string' && isResourceType(type)) indexStructure(type);
}
