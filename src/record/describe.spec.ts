import { RawJson } from '../common/raw-json';
import { describe as wordsOf } from './describe';

test('a decimal keeps the text that was sealed', () => {
  const text =
    '{"resourceType":"Observation","code":{"text":"Weight"},"effectiveDateTime":"2026-01-01","valueQuantity":{"value":27.0,"unit":"kg"}}';
  expect(wordsOf(new RawJson(text))).toEqual({ title: 'Observation: Weight', when: '2026-01-01', body: '27.0 kg' });
});

test('a panel shows its parts', () => {
  const part = (name: string, amount: string) => `{"code":{"text":"${name}"},"valueQuantity":{"value":${amount},"unit":"mmHg"}}`;
  const text = `{"resourceType":"Observation","code":{"text":"Blood pressure"},"component":[${part('Systolic', '120')},${part('Diastolic', '80.0')}]}`;
  expect(wordsOf(new RawJson(text)).body).toBe('Systolic: 120 mmHg\nDiastolic: 80.0 mmHg');
});

test('what has no content has no words', () => {
  expect(wordsOf(null)).toEqual({ title: '', when: '', body: '' });
});
