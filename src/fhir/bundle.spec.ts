import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { BundleError, type BundleIssue, type DirectoryBundle, MAX_BUNDLE_ISSUES, type PatientBundle, readBundle } from './bundle';

const DATA = join(__dirname, '..', '..', '..', 'shared', 'data');
const P = 'urn:uuid:00000000-0000-4000-8000-000000000001';
const O = 'urn:uuid:00000000-0000-4000-8000-000000000002';

const entry = (fullUrl: string | undefined, resource: unknown, more: object = {}): object => ({
  ...(fullUrl === undefined ? {} : { fullUrl }),
  resource,
  ...more,
});
const patient = entry(P, { resourceType: 'Patient', id: 'p1', identifier: [{ system: 'urn:x', value: '7' }] });
const organization = entry(O, { resourceType: 'Organization', name: 'H' });
const observation = (more: object = {}): object => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  subject: { reference: P },
  ...more,
});
const bundle = (entries: unknown[], more: object = {}): string =>
  JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry: entries, ...more });

async function issues(text: string): Promise<readonly BundleIssue[]> {
  try {
    await readBundle(text);
  } catch (error) {
    if (error instanceof BundleError) return error.issues;
    throw error;
  }
  return [];
}
const found = async (text: string): Promise<string[]> => (await issues(text)).map(({ path, code }) => `${path}: ${code}`);

async function chart(text: string): Promise<PatientBundle> {
  const result = await readBundle(text);
  if (result.kind !== 'patient') throw new Error('not a patient bundle');
  return result;
}

describe('readBundle', () => {
  it('divides a patient bundle and keeps each exact text', async () => {
    const exact = '{"resourceType" : "Observation","status":"final","code":{"text":"a\\u011fr\\u0131"},"valueQuantity":{"value":27.0}}';
    const text = bundle([patient, 'EXACT', organization]).replace('"EXACT"', `{"resource": ${exact} }`);
    const result = await chart(text);
    expect(result.patient).toMatchObject({ index: 0, fullUrl: P, resourceType: 'Patient' });
    expect(result.clinical).toHaveLength(1);
    expect(result.clinical[0]).toMatchObject({ index: 1, fullUrl: undefined, text: exact });
    expect(result.directory.map(({ resourceType }) => resourceType)).toEqual(['Organization']);
  });

  it('loses nothing: what is neither patient nor directory is clinical', async () => {
    const others = [
      { resourceType: 'Medication', code: { text: 'm' } },
      { resourceType: 'Device', patient: { reference: P } },
      observation(),
    ];
    expect((await chart(bundle([...others.map((resource) => entry(undefined, resource)), patient]))).clinical).toHaveLength(3);
  });

  it.each(['transaction', 'batch', 'collection', 'searchset', 'document'])('accepts the type %s', async (type) => {
    expect((await chart(bundle([patient], { type }))).clinical).toEqual([]);
  });

  it('reads a directory, and leaves out the remarks of a search', async () => {
    const remark = entry(
      undefined,
      { resourceType: 'OperationOutcome', issue: [{ severity: 'information', code: 'informational' }] },
      { search: { mode: 'outcome' } },
    );
    const result = (await readBundle(bundle([organization, remark], { type: 'searchset' }))) as DirectoryBundle;
    expect(result.kind).toBe('directory');
    expect(result.directory).toHaveLength(1);
  });

  it.each([
    ['[]', ': not_a_bundle'],
    ['{"resourceType":"Patient"}', ': not_a_bundle'],
    ['{', ': malformed_json'],
    ['{"resourceType":"Bundle","type":"batch","type":"batch"}', 'type: duplicate_key'],
    [bundle([patient], { type: 'history' }), 'type: bundle_type'],
    [bundle([]), 'entry: no_entries'],
    [bundle([patient], { foo: 1 }), 'foo: unknown_element'],
    [bundle([patient, 1]), 'entry[1]: structure'],
    [bundle([patient, {}]), 'entry[1].resource: no_resource'],
    [bundle([patient, entry(O, observation(), { foo: 1 })]), 'entry[1].foo: unknown_element'],
    [
      bundle([patient, entry(O, observation(), { request: { method: 'DELETE', url: 'Observation/1' } })]),
      'entry[1].request.method: method',
    ],
    [bundle([patient, entry(P, observation())]), 'entry[1].fullUrl: duplicate_full_url'],
    [bundle([entry(O, { resourceType: 'Observation', status: 'final', code: { text: 'x' } })]), 'entry: no_patient'],
    [bundle([patient, entry(O, { resourceType: 'Patient' })]), 'entry[1].resource: second_patient'],
    [bundle([patient, entry(O, observation({ status: 'x' }))]), 'entry[1].resource.status: code'],
    [bundle([patient, entry(O, { resourceType: 'Nothing' })]), 'entry[1].resource.resourceType: resource_type'],
  ])('refuses %s', async (text, issue) => expect(await found(text)).toEqual([issue]));

  const about = (subject: object, more: object = {}): string => bundle([patient, entry(O, observation({ subject, ...more }))]);

  it.each([
    ['by fullUrl', { reference: P }],
    ['by type and id', { reference: 'Patient/p1' }],
    ['by version', { reference: 'Patient/p1/_history/2' }],
    ['by condition', { reference: 'Patient?identifier=urn:x|7' }],
    ['by encoded condition', { reference: 'Patient?identifier=urn%3Ax%7C7' }],
    ['by identifier', { identifier: { system: 'urn:x', value: '7' } }],
  ])('knows its patient %s', async (_name, subject) => expect(await found(about(subject))).toEqual([]));

  it.each([
    ['id', { reference: 'Patient/p2' }],
    ['odd id', { reference: 'Patient/p1/x' }],
    ['absolute address', { reference: 'https://example.org/fhir/Patient/p1' }],
    ['condition', { reference: 'Patient?identifier=urn:x|8' }],
    ['wider condition', { reference: 'Patient?birthdate=2000' }],
    ['two conditions', { reference: 'https://example.org/Patient?identifier=urn:x|7&identifier=urn:x|8' }],
  ])('ATTACK another patient by %s is refused with its path', async (_name, subject) => {
    expect(await found(about(subject))).toEqual(['entry[1].resource.subject.reference: other_patient']);
  });

  it('ATTACK another patient in other places is refused too', async () => {
    expect(await found(about({ identifier: { system: 'urn:x', value: '8' } }))).toEqual([
      'entry[1].resource.subject.identifier: other_patient',
    ]);
    expect(await found(about({ reference: P }, { performer: [{ reference: 'Patient/x' }] }))).toEqual([
      'entry[1].resource.performer[0].reference: other_patient',
    ]);
    const contained = [{ resourceType: 'Patient', id: 'c', name: [{ family: 'Other' }] }];
    expect(await found(about({ reference: '#c' }, { contained }))).toEqual(['entry[1].resource.contained[0]: other_patient']);
    const clinicalStatus = { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical', code: 'active' }] };
    const allergy = { resourceType: 'AllergyIntolerance', clinicalStatus, patient: { reference: O } };
    expect(await found(bundle([patient, organization, entry(undefined, allergy)]))).toEqual([
      'entry[2].resource.patient.reference: other_patient',
    ]);
  });

  it('resolves relative references against the base of the entry', async () => {
    const base = 'https://example.org/fhir';
    const own = entry(`${base}/Patient/p1`, { resourceType: 'Patient', id: 'p1' });
    const of = (reference: string): string =>
      bundle([own, entry(`${base}/Observation/o1`, observation({ subject: { reference } }))], { type: 'searchset' });
    expect(await found(of('Patient/p1'))).toEqual([]);
    expect(await found(of(`${base}/Patient/p1`))).toEqual([]);
    expect(await found(of('https://elsewhere.org/fhir/Patient/p1'))).toEqual(['entry[1].resource.subject.reference: other_patient']);
  });

  it('refuses references that lead nowhere, and lets the patient link to others', async () => {
    const nowhere = 'urn:uuid:00000000-0000-4000-8000-00000000ffff';
    expect(await found(about({ reference: P }, { encounter: { reference: nowhere } }))).toEqual([
      'entry[1].resource.encounter.reference: unresolved_reference',
    ]);
    const linked = { resourceType: 'Patient', link: [{ other: { reference: 'Patient/2' }, type: 'seealso' }] };
    expect(await found(bundle([entry(P, linked)]))).toEqual([]);
    expect(await found(about({ reference: P }, { performer: [{ reference: 'Practitioner?identifier=a|b' }] }))).toEqual([]);
  });

  it(`reports all issues up to ${MAX_BUNDLE_ISSUES}, in order, without values`, async () => {
    const bad = entry(undefined, observation({ status: 'SECRET' }));
    expect(await found(bundle([bad, patient, bad, entry(O, { resourceType: 'Patient' })]))).toEqual([
      'entry[0].resource.status: code',
      'entry[2].resource.status: code',
      'entry[3].resource: second_patient',
    ]);
    const many = await issues(bundle([patient, ...Array.from({ length: 50 }, () => bad)]));
    expect(many).toHaveLength(MAX_BUNDLE_ISSUES);
    expect(JSON.stringify(many)).not.toContain('SECRET');
  });
});

describe('real bundles', () => {
  /** What R4 or the rule of one patient forbids in them. */
  const REFUSED: Record<string, string> = {
    'ipsv-CA_VeroSource_buddy_bear.json.gz': 'unresolved_reference', // and versionIds that are no ids
    'ipsv-UK_NHSx_IPS_Example_02-modified.json.gz': 'other_patient', // two requests are for Patient/2, the chart is Patient/12's
    'Bundle-bundle-example.json': 'no_patient', // a search result of one MedicationRequest
    'Bundle-bundle-response.json': 'bundle_type', // an answer, not content
    'Bundle-f001.json': 'no_patient', // an order bundle whose patient is elsewhere
  };

  it('are read without loss', async () => {
    if (!existsSync(DATA)) {
      console.warn('skipped: ../shared/data is not here');
      return;
    }
    for (const folder of ['synthea', 'ips', 'hl7-r4-examples']) {
      for (const name of readdirSync(join(DATA, folder)).filter((file) => file.endsWith('.json.gz') || file.startsWith('Bundle'))) {
        const bytes = readFileSync(join(DATA, folder, name));
        const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
        const refusal = REFUSED[name];
        if (refusal !== undefined) {
          expect([name, (await issues(text))[0]?.code]).toEqual([name, refusal]);
          continue;
        }
        const result = await readBundle(text);
        const read = result.kind === 'patient' ? [result.patient, ...result.clinical, ...result.directory] : result.directory;
        expect(read).toHaveLength((JSON.parse(text) as { entry: unknown[] }).entry.length);
        for (const { text: exact } of read) expect(text.includes(exact)).toBe(true);
      }
    }
  }, 180_000);
});
