import { ApiError } from '../common/errors';
import type { DiagnosisDto } from './record.dto';
import { type ResourceIssue, validateResource } from './fhir-validation';

const ICD_10 = 'http://hl7.org/fhir/sid/icd-10';
const CLINICAL_STATUS = 'http://terminology.hl7.org/CodeSystem/condition-clinical';
/** The elements by which clinical resources name the patient. */
const SUBJECT_ELEMENTS = ['subject', 'patient'] as const;
const SEVERITY = { mild: '255604002', moderate: '6736007', severe: '24484000' } as const;

/** Extension by which a resource names a file that belongs to it, with the file's SHA-256 (R4's `Attachment.hash` is SHA-1 and so not used). */
export const ATTACHMENT_EXTENSION = 'urn:bjwt-ehr:fhir:StructureDefinition:attachment';

/** A diagnosis as a FHIR R4 Condition, as JSON text. */
export function conditionText(patientId: string, dto: DiagnosisDto, recordedDate: string): string {
  return JSON.stringify({
    resourceType: 'Condition',
    clinicalStatus: { coding: [{ system: CLINICAL_STATUS, code: 'active' }] },
    ...(dto.severity
      ? { severity: { coding: [{ system: 'http://snomed.info/sct', code: SEVERITY[dto.severity] }], text: dto.severity } }
      : {}),
    code: { coding: [{ system: dto.system ?? ICD_10, code: dto.code, display: dto.display }], text: dto.display },
    subject: { reference: `Patient/${patientId}` },
    ...(dto.onset ? { onsetDateTime: dto.onset } : {}),
    recordedDate,
    ...(dto.note ? { note: [{ text: dto.note }] } : {}),
  });
}

function refuse(path: string, issues: readonly Pick<ResourceIssue, 'path' | 'message'>[]): ApiError {
  const errors = issues.slice(0, 20).map((issue) => ({ path: issue.path === '' ? path : `${path}.${issue.path}`, message: issue.message }));
  return new ApiError('invalid_resource', 'The resource is not valid FHIR R4 or does not belong here', { errors });
}

/** Throws unless the value is a valid R4 resource of an allowed type that names this patient and nobody else. `path` stands before every path. */
export function assertResource(resource: unknown, patientId: string, allowed: readonly string[], path = 'resource'): string {
  const issues = validateResource(resource);
  if (issues.length > 0) throw refuse(path, issues);
  const value = resource as Record<string, unknown> & { resourceType: string };
  if (!allowed.includes(value.resourceType))
    throw refuse(path, [{ path: 'resourceType', message: 'is not a clinical type that can be recorded' }]);
  if (!SUBJECT_ELEMENTS.some((element) => (value[element] as { reference?: unknown } | undefined)?.reference !== undefined))
    throw refuse(path, [{ path: 'subject.reference', message: `must be Patient/${patientId}` }]);
  for (const element of SUBJECT_ELEMENTS) {
    const reference: unknown = (value[element] as { reference?: unknown } | undefined)?.reference;
    if (reference !== undefined && reference !== `Patient/${patientId}`)
      throw refuse(path, [{ path: `${element}.reference`, message: 'must name the patient of this record' }]);
  }
  const extensions: unknown = value['extension'];
  if (Array.isArray(extensions) && extensions.some((item: { url?: unknown }) => item.url === ATTACHMENT_EXTENSION))
    throw refuse(path, [{ path: 'extension', message: 'must not name attached files; upload them to the draft' }]);
  return value.resourceType;
}

/** The sealed bytes of a correction: what it speaks of, why, and the new content as exact text. */
export function amendmentText(amendment: {
  kind: string;
  amends: string;
  blockHash: string;
  reason: string;
  resource: string | null;
}): string {
  const { resource, ...rest } = amendment;
  const head = JSON.stringify({ schema: 'bjwt.amendment/1', ...rest });
  return `${head.slice(0, -1)},"resource":${resource ?? 'null'}}`;
}

export function attachmentExtension(file: { id: string; contentType: string; name: string; size: number; sha256: Buffer }): string {
  return JSON.stringify({
    url: ATTACHMENT_EXTENSION,
    extension: [
      { url: 'file', valueAttachment: { contentType: file.contentType, url: `urn:uuid:${file.id}`, size: file.size, title: file.name } },
      { url: 'sha256', valueBase64Binary: file.sha256.toString('base64') },
    ],
  });
}

/** A file as a sealed resource names it. */
export interface SealedFile {
  readonly id: string;
  readonly name: string;
  readonly contentType: string;
  readonly size: number;
  readonly sha256: string;
}

/** The files that a sealed resource names by `ATTACHMENT_EXTENSION`: they, and no others, belong to the record. */
export function sealedFiles(payload: Buffer): SealedFile[] {
  const { extension } = JSON.parse(payload.toString('utf8')) as { extension?: { url?: unknown; extension?: Record<string, unknown>[] }[] };
  return (Array.isArray(extension) ? extension : [])
    .filter((item) => item.url === ATTACHMENT_EXTENSION)
    .flatMap((item) => {
      const file = item.extension?.find((part) => part['url'] === 'file')?.['valueAttachment'] as Record<string, unknown> | undefined;
      const sha256 = item.extension?.find((part) => part['url'] === 'sha256')?.['valueBase64Binary'];
      if (!file || typeof sha256 !== 'string') return [];
      const { url, title, contentType, size } = file;
      return [
        { id: String(url).replace('urn:uuid:', ''), name: String(title), contentType: String(contentType), size: Number(size), sha256 },
      ];
    });
}
