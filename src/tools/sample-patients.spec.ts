import { readBundle } from '../fhir/bundle';
import { validateResource } from '../record/fhir-validation';
import { samplePatients } from './sample-patients';

const samples = samplePatients();
const WANTED =
  'AllergyIntolerance CarePlan Claim Condition DiagnosticReport DocumentReference Encounter Immunization MedicationRequest Observation Procedure';

describe('samplePatients', () => {
  it('is deterministic, and another seed gives other patients', () => {
    expect(samplePatients()).toEqual(samples);
    expect(samplePatients(7).slice(0, 5)).toEqual(samples);
    expect(samplePatients(5, 2)[0]?.text).not.toBe(samples[0]?.text);
    expect(new Set(samplePatients(12).map(({ fileName }) => fileName)).size).toBe(12);
    expect(samplePatients(0)).toEqual([]);
  });

  it.each(samples)('$fileName is one importable chart of 20 to 60 valid resources', async ({ text }) => {
    const bundle = await readBundle(text);
    if (bundle.kind !== 'patient') throw new Error('not a patient bundle');
    expect(bundle.clinical.length + bundle.directory.length + 1).toBeGreaterThanOrEqual(20);
    expect(bundle.clinical.length + bundle.directory.length + 1).toBeLessThanOrEqual(60);
    expect([...new Set(bundle.clinical.map(({ resourceType }) => resourceType))].sort().join(' ')).toBe(WANTED);
    expect(new Set(bundle.directory.map(({ resourceType }) => resourceType))).toEqual(new Set(['Organization', 'Practitioner']));
    for (const { resource } of [bundle.patient, ...bundle.clinical, ...bundle.directory]) expect(validateResource(resource)).toEqual([]);
    expect(bundle.patient.resource).toMatchObject({
      identifier: [{ value: expect.stringMatching(/^9\d{10}$/) }],
      birthDate: expect.any(String),
    });
    expect(text).toMatch(/"value":27\.0[,}]/);
  });

  it('keeps decimals and scripts as they are', () => {
    const all = samples.map(({ text }) => text).join('\n');
    for (const part of ['"value":43818.60', '"value":0.50', 'İlkay', '𠮷', 'نور', 'e\u0301', '👩‍👩‍👧‍👦', 'ağrısı']) expect(all).toContain(part);
  });

  it('gives every patient other identifiers and addresses', () => {
    const many = samplePatients(40).map(({ text }) => text);
    const ids = many.flatMap((text) => text.match(/"system":"https:\/\/example\.org\/national-id","value":"\d+"/g) ?? []);
    expect(new Set(ids).size).toBe(40);
    const urls = many.flatMap((text) => text.match(/"fullUrl":"[^"]+"/g) ?? []);
    expect(new Set(urls).size).toBe(urls.length);
  });
});
