import { stringifyExact } from '../common/raw-json';
import { allergy, carePlan, claim, documentReference, immunization, procedure } from './sample-history';
import { SAMPLE_PEOPLE, type SamplePerson } from './sample-people';
import {
  type Measure,
  type Resource,
  type Visit,
  condition,
  diagnosticReport,
  encounter,
  medicationRequest,
  observation,
  organization,
  panel,
  patient,
  practitioner,
} from './sample-resources';

export interface SamplePatient {
  readonly fileName: string;
  /** A FHIR R4 transaction bundle as JSON text, decimals written with their precision. */
  readonly text: string;
}

const DIAGNOSES = [
  ['I10', 'Essential (primary) hypertension'],
  ['E11', 'Type 2 diabetes mellitus'],
  ['J45', 'Asthma'],
  ['M54', 'Dorsalgia'],
  ['G43', 'Migraine'],
  ['J06', 'Acute upper respiratory infection'],
] as const;
const MEDICINES = ['Paracetamol', 'Ibuprofen', 'Metformin', 'Amlodipine', 'Salbutamol'] as const;
const VACCINES = ['Influenza vaccine', 'Tetanus vaccine', 'Hepatitis B vaccine'] as const;
const PROCEDURES = ['Electrocardiogram', 'Wound dressing', 'Spirometry', 'Suture removal'] as const;

/**
 * The project's own patients, for demonstrations and tests: the same count and seed give the same text, byte for byte. The first five differ in
 * script and age; more repeat the names with other numbers. Invented throughout; codes are a few public LOINC and ICD-10 examples.
 */
export function samplePatients(count = 5, seed = 1): SamplePatient[] {
  return Array.from({ length: count }, (_, index) => {
    const person = SAMPLE_PEOPLE[index % SAMPLE_PEOPLE.length];
    if (!person) throw new Error('There are no sample people');
    const text = new Chart(person, new Dice(seed * 7919 + index), index).build();
    return { fileName: `sample-${String(index + 1).padStart(3, '0')}-${person.language}.json`, text };
  });
}

/** A small seeded generator (mulberry32): not for secrets. */
class Dice {
  constructor(private state: number) {}

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return low + Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)] as T;
  }

  /** Fixed decimals: `36.6`, never `37`. */
  decimal(low: number, high: number, digits: number): string {
    const scale = 10 ** digits;
    return (this.int(low * scale, high * scale) / scale).toFixed(digits);
  }

  urn(): string {
    const hex = Array.from({ length: 32 }, (_, i) => (i === 12 ? '4' : this.int(i === 16 ? 8 : 0, i === 16 ? 11 : 15).toString(16))).join(
      '',
    );
    return `urn:uuid:${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}`;
  }
}

class Chart {
  private readonly entries: object[] = [];

  constructor(
    private readonly person: SamplePerson,
    private readonly dice: Dice,
    private readonly number: number,
  ) {}

  build(): string {
    const { person, dice } = this;
    const hospital = this.add(organization(person));
    const doctors = person.doctors.map((name, i) => this.add(practitioner(name, `L-${this.number * 10 + i}`)));
    const birthDate = `${person.birthYear}-${two(dice.int(1, 12))}-${two(dice.int(1, 28))}`;
    const nationalId = `9${String(dice.int(0, 99_999)).padStart(5, '0')}${String(this.number).padStart(5, '0')}`;
    const self = this.add(patient(person, nationalId, birthDate, `${person.phonePrefix} ${dice.int(1000, 9999)}`));
    const conditions: string[] = [];
    const visits = dice.int(3, 4);
    for (let i = 0; i < visits; i += 1) {
      const day = `${2022 + i}-${two(dice.int(1, 12))}-${two(dice.int(1, 28))}`;
      const frame = {
        patient: self,
        hospital,
        doctor: dice.pick(doctors),
        start: `${day}T09:15:00+03:00`,
        end: `${day}T09:40:00.500+03:00`,
      };
      const visit: Visit = { ...frame, encounter: this.add(encounter(frame, person.note)) };
      conditions.push(this.visit(visit, i));
      if (i === visits - 1) this.history(visit, conditions);
    }
    return stringifyExact({ resourceType: 'Bundle', type: 'transaction', entry: this.entries });
  }

  /** What one visit leaves in the chart; gives the diagnosis. */
  private visit(visit: Visit, index: number): string {
    const { dice, person } = this;
    const diagnosis = this.add(
      condition(visit, DIAGNOSES[(this.number + index) % DIAGNOSES.length] ?? DIAGNOSES[0], person.note, index === 0),
    );
    this.vitals(visit, index);
    const results = [
      { code: '718-7', display: 'Hemoglobin', value: dice.decimal(11, 16, 1), unit: 'g/dL', ucum: 'g/dL' },
      { code: '2345-7', display: 'Glucose', value: dice.decimal(70, 180, 2), unit: 'mg/dL', ucum: 'mg/dL' },
    ].map((measure) => this.add(observation(visit, 'laboratory', measure)));
    if (index % 2 === 0) this.add(diagnosticReport(visit, results, person.note));
    this.add(medicationRequest(visit, dice.pick(MEDICINES), dice.pick(['2.50', '100.0', '500', '12.5']), diagnosis));
    return diagnosis;
  }

  private vitals(visit: Visit, index: number): void {
    const { dice } = this;
    const pressure = (code: string, display: string, value: string): Measure => ({ code, display, value, unit: 'mmHg', ucum: 'mm[Hg]' });
    this.add(
      panel(visit, '85354-9', 'Blood pressure panel', [
        pressure('8480-6', 'Systolic blood pressure', String(dice.int(95, 165))),
        pressure('8462-4', 'Diastolic blood pressure', String(dice.int(55, 95))),
      ]),
    );
    const bmi = index === 0 ? '27.0' : dice.decimal(19, 32, 1);
    const measures = [
      { code: '8310-5', display: 'Body temperature', value: dice.decimal(36, 39, 1), unit: 'Cel', ucum: 'Cel' },
      { code: '8867-4', display: 'Heart rate', value: String(dice.int(52, 118)), unit: '/min', ucum: '/min' },
      { code: '39156-5', display: 'Body mass index', value: bmi, unit: 'kg/m2', ucum: 'kg/m2' },
    ];
    for (const measure of measures) this.add(observation(visit, 'vital-signs', measure));
  }

  /** What belongs to the chart as a whole, recorded at the last visit. */
  private history(visit: Visit, conditions: readonly string[]): void {
    const { dice, person } = this;
    this.add(allergy(visit, person));
    for (const vaccine of VACCINES.slice(0, dice.int(1, 3))) this.add(immunization(visit, vaccine, `LOT-${dice.int(100, 999)}`));
    this.add(procedure(visit, dice.pick(PROCEDURES)));
    this.add(carePlan(visit, person, conditions));
    this.add(documentReference(visit, person));
    this.add(claim(visit, person, this.number === 0 ? '43818.60' : `${dice.int(40, 9000)}.${dice.int(1, 9)}0`));
  }

  /** Adds an entry and gives its address in the bundle. */
  private add(resource: Resource): string {
    const fullUrl = this.dice.urn();
    this.entries.push({ fullUrl, resource, request: { method: 'POST', url: resource.resourceType } });
    return fullUrl;
  }
}

const two = (value: number): string => String(value).padStart(2, '0');
