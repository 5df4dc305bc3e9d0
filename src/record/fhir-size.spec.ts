import { cpuNow } from '../../test/support/cpu-time';
import { MAX_RESOURCE_ISSUES, validateResource } from './fhir-validation';

const base = { resourceType: 'Observation', status: 'final', code: { text: 'x' } };
const observation = (component: object[]): object => ({ ...base, component });
const timed = (value: unknown): [issues: number, ms: number] => {
  const start = cpuNow();
  return [validateResource(value).length, cpuNow() - start];
};
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

describe('the size of a resource', () => {
  beforeAll(() => void validateResource(base));
  const component = { code: { text: 'c' }, valueString: 'v' };

  it.each([
    ['primitive extensions of another type than the value', { ...component, _valueInteger: { id: 'x' } }],
    ['two values for one choice', { ...component, valueInteger: 1 }],
    ['unknown elements', { ...component, colour: 'red' }],
    ['values of the wrong type', { ...component, valueString: 1 }],
    ['references to a wrong type', { ...component, extension: [{ url: 'u', valueReference: { reference: 'X/1' } }] }],
    ['missing elements', { valueString: 'v' }],
    ['nothing wrong', component],
  ])('ATTACK 1,000 components with %s are looked at in linear time', (_name, item) => {
    const small = timed(observation(many(200, item)));
    const large = timed(observation(many(1000, item)));
    expect(large[0]).toBeLessThanOrEqual(MAX_RESOURCE_ISSUES);
    // Five times as many; quadratic work would take 25 times as long.
    expect(large[1]).toBeLessThan(Math.max(300, small[1] * 15));
  });

  it('ATTACK a thousand faulty choices: the resource is searched once for each kind, not for each fault', () => {
    let reads = 0;
    const components = many(1000, { ...component, _valueInteger: { id: 'x' } });
    const get = () => ((reads += 1), components);
    const value = Object.defineProperty({ ...base }, 'component', { enumerable: true, get });
    expect(validateResource(value)).toEqual([expect.objectContaining({ code: 'choice' })]);
    expect(reads).toBeLessThan(100);
  });

  it('ATTACK more than 10,000 values are refused before anything else looks', () => {
    for (const value of [
      observation(many(8000, { ...component, _valueInteger: { id: 'x' } })),
      { ...base, note: many(2_000_000, 0) },
      { ...base, contained: many(7000, { resourceType: 'Patient', id: 'p' }) },
    ]) {
      const start = cpuNow();
      expect(validateResource(value)).toEqual([{ path: '', code: 'structure', message: 'A resource has at most 10000 values.' }]);
      expect(cpuNow() - start).toBeLessThan(500);
    }
  });

  it('ATTACK findings that are let be do not hide the one that is not', () => {
    const strays = many(100, { system: 'urn:x', value: '1', assigner: { reference: 'Practitioner/1' } });
    const value = { ...base, identifier: strays, effectiveDateTime: 'yesterday' };
    expect(validateResource(value)).toEqual([expect.objectContaining({ path: 'effectiveDateTime' })]);
  });
});
