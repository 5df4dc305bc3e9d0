import { RawJson } from '../common/raw-json';
import { type SamplePerson } from './sample-people';

export type Resource = { readonly resourceType: string } & Readonly<Record<string, unknown>>;

/** A decimal with its text: `27.0` is not `27` (FHIR R4, decimal: precision is significant). */
export const decimal = (text: string): RawJson => new RawJson(text);

export const coding = (system: string, code: string, display: string): object => ({ coding: [{ system, code, display }], text: display });
const LOINC = 'http://loinc.org';
const CODES = 'http://terminology.hl7.org/CodeSystem';
const category = (system: string, code: string): object => ({ coding: [{ system: `${CODES}/${system}`, code }] });
const quantity = (text: string, unit: string, code: string): object => ({
  value: decimal(text),
  unit,
  system: 'http://unitsofmeasure.org',
  code,
});

/** Whom and what the resources of one visit refer to: `urn:uuid:…` each. */
export interface Visit {
  readonly patient: string;
  readonly doctor: string;
  readonly hospital: string;
  readonly encounter: string;
  /** FHIR dateTime with offset. */
  readonly start: string;
  readonly end: string;
}

const ref = (reference: string): object => ({ reference });

export function organization(person: SamplePerson): Resource {
  return { resourceType: 'Organization', active: true, name: person.hospital, address: [{ city: person.city, country: person.country }] };
}

export function practitioner([family, given]: readonly [string, string], number: string): Resource {
  return {
    resourceType: 'Practitioner',
    active: true,
    identifier: [{ system: 'https://example.org/license', value: number }],
    name: [{ family, given: [given] }],
  };
}

export function patient(person: SamplePerson, nationalId: string, birthDate: string, phone: string): Resource {
  return {
    resourceType: 'Patient',
    identifier: [{ use: 'official', type: category('v2-0203', 'NI'), system: 'https://example.org/national-id', value: nationalId }],
    active: true,
    name: [{ use: 'official', text: [...person.given, person.family].join(' '), family: person.family, given: person.given }],
    telecom: [
      { system: 'phone', value: phone, use: 'mobile' },
      { system: 'email', value: `patient-${nationalId}@example.org` },
    ],
    gender: person.gender,
    birthDate,
    address: [{ use: 'home', line: [person.street], city: person.city, country: person.country }],
    communication: [{ language: { coding: [{ system: 'urn:ietf:bcp:47', code: person.language }] }, preferred: true }],
  };
}

export function encounter(visit: Omit<Visit, 'encounter'>, reason: string): Resource {
  return {
    resourceType: 'Encounter',
    status: 'finished',
    class: { system: `${CODES}/v3-ActCode`, code: 'AMB' },
    subject: ref(visit.patient),
    participant: [{ individual: ref(visit.doctor) }],
    period: { start: visit.start, end: visit.end },
    reasonCode: [{ text: reason }],
    serviceProvider: ref(visit.hospital),
  };
}

export function condition(visit: Visit, [code, display]: readonly [string, string], note: string, resolved: boolean): Resource {
  return {
    resourceType: 'Condition',
    clinicalStatus: category('condition-clinical', resolved ? 'resolved' : 'active'),
    verificationStatus: category('condition-ver-status', 'confirmed'),
    category: [category('condition-category', 'encounter-diagnosis')],
    code: coding('http://hl7.org/fhir/sid/icd-10', code, display),
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    onsetDateTime: visit.start.slice(0, 7),
    ...(resolved ? { abatementDateTime: visit.end } : {}),
    recordedDate: visit.start,
    recorder: ref(visit.doctor),
    note: [{ authorReference: ref(visit.doctor), time: visit.end, text: note }],
  };
}

/** One measured value, its number as text. */
export interface Measure {
  readonly code: string;
  readonly display: string;
  readonly value: string;
  readonly unit: string;
  readonly ucum: string;
}

export function observation(visit: Visit, kind: 'vital-signs' | 'laboratory', measure: Measure): Resource {
  return {
    ...observationHead(visit, kind, measure.code, measure.display),
    valueQuantity: quantity(measure.value, measure.unit, measure.ucum),
  };
}

/** A panel: no value of its own, one component per measure (blood pressure). */
export function panel(visit: Visit, code: string, display: string, measures: readonly Measure[]): Resource {
  return {
    ...observationHead(visit, 'vital-signs', code, display),
    component: measures.map((measure) => ({
      code: coding(LOINC, measure.code, measure.display),
      valueQuantity: quantity(measure.value, measure.unit, measure.ucum),
    })),
  };
}

function observationHead(visit: Visit, kind: string, code: string, display: string): Resource {
  return {
    resourceType: 'Observation',
    status: 'final',
    category: [category('observation-category', kind)],
    code: coding(LOINC, code, display),
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    effectiveDateTime: visit.start,
    issued: visit.end,
    performer: [ref(visit.doctor)],
  };
}

export function diagnosticReport(visit: Visit, results: readonly string[], conclusion: string): Resource {
  return {
    resourceType: 'DiagnosticReport',
    status: 'final',
    category: [category('v2-0074', 'LAB')],
    code: coding(LOINC, '11502-2', 'Laboratory report'),
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    effectiveDateTime: visit.start,
    issued: visit.end,
    performer: [ref(visit.hospital)],
    result: results.map(ref),
    conclusion,
  };
}

export function medicationRequest(visit: Visit, name: string, dose: string, reason: string): Resource {
  return {
    resourceType: 'MedicationRequest',
    status: 'active',
    intent: 'order',
    medicationCodeableConcept: { text: name },
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    authoredOn: visit.end,
    requester: ref(visit.doctor),
    reasonReference: [ref(reason)],
    dosageInstruction: [
      {
        text: `${dose} mg`,
        timing: { repeat: { frequency: 2, period: decimal('1.0'), periodUnit: 'd' } },
        doseAndRate: [{ doseQuantity: quantity(dose, 'mg', 'mg') }],
      },
    ],
  };
}
