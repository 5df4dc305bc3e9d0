import { type SamplePerson } from './sample-people';
import { type Resource, type Visit, coding, decimal } from './sample-resources';

const CODES = 'http://terminology.hl7.org/CodeSystem';
const category = (system: string, code: string): object => ({ coding: [{ system: `${CODES}/${system}`, code }] });
const ref = (reference: string): object => ({ reference });

export function allergy(visit: Visit, person: SamplePerson): Resource {
  return {
    resourceType: 'AllergyIntolerance',
    clinicalStatus: category('allergyintolerance-clinical', 'active'),
    verificationStatus: category('allergyintolerance-verification', 'confirmed'),
    type: 'allergy',
    criticality: 'high',
    code: { text: person.allergen },
    patient: ref(visit.patient),
    recordedDate: visit.start,
    recorder: ref(visit.doctor),
    reaction: [{ manifestation: [{ text: 'Urticaria' }], severity: 'moderate' }],
  };
}

export function immunization(visit: Visit, vaccine: string, lot: string): Resource {
  return {
    resourceType: 'Immunization',
    status: 'completed',
    vaccineCode: { text: vaccine },
    patient: ref(visit.patient),
    encounter: ref(visit.encounter),
    occurrenceDateTime: visit.start.slice(0, 10),
    primarySource: true,
    lotNumber: lot,
    doseQuantity: { value: decimal('0.50'), unit: 'mL', system: 'http://unitsofmeasure.org', code: 'mL' },
    performer: [{ actor: ref(visit.doctor) }],
  };
}

export function procedure(visit: Visit, name: string): Resource {
  return {
    resourceType: 'Procedure',
    status: 'completed',
    code: { text: name },
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    performedPeriod: { start: visit.start, end: visit.end },
    performer: [{ actor: ref(visit.doctor) }],
  };
}

export function carePlan(visit: Visit, person: SamplePerson, conditions: readonly string[]): Resource {
  const escaped = person.plan.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return {
    resourceType: 'CarePlan',
    text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><p lang="${person.language}">${escaped}</p></div>` },
    status: 'active',
    intent: 'plan',
    description: person.plan,
    subject: ref(visit.patient),
    encounter: ref(visit.encounter),
    period: { start: visit.start.slice(0, 10) },
    author: ref(visit.doctor),
    addresses: conditions.map(ref),
    activity: [{ detail: { status: 'in-progress', description: person.plan } }],
  };
}

export function documentReference(visit: Visit, person: SamplePerson): Resource {
  const text = Buffer.from(`${person.hospital}\n${visit.start}\n\n${person.note}\n`);
  return {
    resourceType: 'DocumentReference',
    status: 'current',
    type: coding('http://loinc.org', '11506-3', 'Progress note'),
    subject: ref(visit.patient),
    date: visit.end,
    author: [ref(visit.doctor)],
    custodian: ref(visit.hospital),
    content: [
      {
        attachment: {
          contentType: 'text/plain; charset=utf-8',
          language: person.language,
          data: text.toString('base64'),
          size: text.length,
        },
      },
    ],
    context: { encounter: [ref(visit.encounter)] },
  };
}

/** A bill: money keeps its trailing zero. */
export function claim(visit: Visit, person: SamplePerson, total: string): Resource {
  return {
    resourceType: 'Claim',
    status: 'active',
    type: category('claim-type', 'professional'),
    use: 'claim',
    patient: ref(visit.patient),
    created: visit.end,
    provider: ref(visit.hospital),
    priority: category('processpriority', 'normal'),
    insurance: [{ sequence: 1, focal: true, coverage: { display: 'Example insurance' } }],
    item: [{ sequence: 1, productOrService: { text: 'Visit' }, encounter: [ref(visit.encounter)] }],
    total: { value: decimal(total), currency: person.currency },
  };
}
