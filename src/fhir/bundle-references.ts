import { type JsonPath } from '../common/json-text';
import { isObject } from '../record/fhir-content';

/** One resource of a bundle, with the text that it came in. */
export interface BundleResource {
  /** Position in the bundle: issues about it start with `entry[index]`. */
  readonly index: number;
  /** Undefined when the sender gave none. */
  readonly fullUrl: string | undefined;
  readonly resourceType: string;
  /** Exactly as sent, byte for byte. */
  readonly text: string;
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface ReferenceFault {
  /** Inside the resource. */
  readonly path: JsonPath;
  readonly code: 'unresolved_reference' | 'other_patient';
  readonly message: string;
}

interface FoundReference {
  readonly path: JsonPath;
  readonly value: Readonly<Record<string, unknown>>;
}

const RESTFUL = /^(?:(https?:\/\/.*)\/)?([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;
const PATIENT_ONLY = new Set<string | number | undefined>(['patient', 'beneficiary']);
const PATIENT_ELEMENTS = new Set([...PATIENT_ONLY, 'subject']);
const ABOUT_ANOTHER: Pick<ReferenceFault, 'code' | 'message'> = {
  code: 'other_patient',
  message: "This names a patient who is not this bundle's patient.",
};

/** Resolves references between the resources of one bundle (FHIR R4, Bundle, "Resolving references in Bundles"). */
export class BundleReferences {
  private readonly byUrl = new Map<string, BundleResource>();
  private readonly byTypeAndId = new Map<string, BundleResource>();
  private readonly patientIdentifiers: ReadonlySet<string>;

  constructor(
    resources: readonly BundleResource[],
    private readonly patient: BundleResource | undefined,
  ) {
    for (const item of resources) {
      if (item.fullUrl !== undefined) this.byUrl.set(item.fullUrl, item);
      if (typeof item.resource['id'] === 'string') this.byTypeAndId.set(`${item.resourceType}/${item.resource['id']}`, item);
    }
    this.patientIdentifiers = new Set(patient ? identifiersOf(patient.resource) : []);
  }

  /** References that lead nowhere, and (unless the resource may link to others, as Patient.link does) those to another patient. */
  faultsOf(item: BundleResource): ReferenceFault[] {
    const aboutPatient = this.patient !== undefined && item !== this.patient;
    const faults = references(item.resource).flatMap(({ path, value }) => this.faultOf(item, path, value, aboutPatient) ?? []);
    return aboutPatient ? [...faults, ...this.containedPatients(item.resource)] : faults;
  }

  private faultOf(item: BundleResource, path: JsonPath, value: FoundReference['value'], aboutPatient: boolean): ReferenceFault | undefined {
    const reference = value['reference'];
    if (typeof reference !== 'string') {
      return aboutPatient && this.isOtherLogical(path, value) ? { path: [...path, 'identifier'], ...ABOUT_ANOTHER } : undefined;
    }
    const at = [...path, 'reference'];
    if (reference.startsWith('#')) return undefined; // contained: the resource's own validation looks
    if (/^urn:(?:uuid|oid):/.test(reference)) {
      const target = this.byUrl.get(reference);
      if (!target) return { path: at, code: 'unresolved_reference', message: 'No entry of the bundle has this fullUrl.' };
      const misplaced = aboutPatient && target !== this.patient && PATIENT_ONLY.has(path[path.length - 1]);
      return misplaced ? { path: at, ...ABOUT_ANOTHER } : undefined;
    }
    return aboutPatient && this.isOtherPatient(item, reference) ? { path: at, ...ABOUT_ANOTHER } : undefined;
  }

  /** `Patient?identifier=…`, `Patient/1` or `https://…/Patient/1`: is it somebody else? Ids are the sender's own, so an absolute address must be the very same. */
  private isOtherPatient(item: BundleResource, reference: string): boolean {
    const [address = '', query] = reference.split('?', 2);
    if (query !== undefined && address.replace(/^.*\//, '') === 'Patient') return !this.isThisPatientsQuery(query);
    if (!/(?:^|\/)Patient(?:[/#]|$)/.test(address)) {
      const target = this.byUrl.get(reference);
      return target?.resourceType === 'Patient' && target !== this.patient;
    }
    const [, base, type, id] = RESTFUL.exec(address) ?? [];
    if (type === undefined || id === undefined) return true; // it names a patient in a way that nothing resolves
    const ownBase = RESTFUL.exec(item.fullUrl ?? '')?.[1];
    const target =
      this.byUrl.get(`${base ?? ownBase ?? ''}/${type}/${id}`) ?? (base === undefined ? this.byTypeAndId.get(`${type}/${id}`) : undefined);
    return target !== this.patient;
  }

  private isThisPatientsQuery(query: string): boolean {
    const value = new URLSearchParams(query).getAll('identifier');
    return value.length === 1 && this.patientIdentifiers.has(value[0] ?? '');
  }

  /** A reference by identifier only, where a patient stands. */
  private isOtherLogical(path: JsonPath, value: FoundReference['value']): boolean {
    if (!isObject(value['identifier'])) return false;
    const names = value['type'] === 'Patient' || (value['type'] === undefined && PATIENT_ELEMENTS.has(path[path.length - 1]));
    return names && !this.patientIdentifiers.has(identifierKey(value['identifier']));
  }

  private containedPatients(resource: BundleResource['resource']): ReferenceFault[] {
    const contained = Array.isArray(resource['contained']) ? (resource['contained'] as unknown[]) : [];
    return contained.flatMap((inner, index): ReferenceFault[] => {
      if (!isObject(inner) || inner['resourceType'] !== 'Patient') return [];
      return identifiersOf(inner).some((key) => this.patientIdentifiers.has(key)) ? [] : [{ path: ['contained', index], ...ABOUT_ANOTHER }];
    });
  }
}

/** `system|value`, as a search by token writes it. */
function identifierKey(identifier: Record<string, unknown>): string {
  return typeof identifier['value'] === 'string' && typeof identifier['system'] === 'string'
    ? `${identifier['system']}|${identifier['value']}`
    : '';
}

function identifiersOf(patient: Readonly<Record<string, unknown>>): string[] {
  const identifiers = Array.isArray(patient['identifier']) ? (patient['identifier'] as unknown[]) : [];
  return identifiers.map((identifier) => (isObject(identifier) ? identifierKey(identifier) : '')).filter((key) => key !== '');
}

/** Every element that is a Reference: it has `reference`, or stands for one by `identifier` alone. Depth is bounded by the text's limits. */
function references(value: unknown, path: JsonPath = [], found: FoundReference[] = []): FoundReference[] {
  if (Array.isArray(value)) value.forEach((item, index) => references(item, [...path, index], found));
  else if (isObject(value)) {
    if (typeof value['reference'] === 'string' || (isObject(value['identifier']) && !('resourceType' in value)))
      found.push({ path, value });
    for (const [name, child] of Object.entries(value)) references(child, [...path, name], found);
  }
  return found;
}
