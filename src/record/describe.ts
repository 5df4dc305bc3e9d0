import { exactText, type JsonPath } from '../common/json-text';
import type { RawJson } from '../common/raw-json';

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value;
}

/** The words of a CodeableConcept, Coding or text. */
function words(value: unknown): string | undefined {
  const item = first(value);
  if (typeof item === 'string') return item;
  if (!isObject(item)) return undefined;
  const coding = first(item['coding']);
  const candidates = [
    item['text'],
    item['display'],
    isObject(coding) ? (coding['display'] ?? coding['code']) : undefined,
    item['description'],
    item['title'],
  ];
  return candidates.find((candidate): candidate is string => typeof candidate === 'string');
}

/** A value in the words of the resource; a decimal with the text that was sealed, for `27.0` says more than `27`. */
function value(element: Json, path: JsonPath, text: string): string | undefined {
  const quantity = element['valueQuantity'];
  if (isObject(quantity)) {
    const unit = typeof quantity['unit'] === 'string' ? quantity['unit'] : '';
    return `${exactText(text, [...path, 'valueQuantity', 'value']) ?? ''} ${unit}`.trim();
  }
  const plain = element['valueString'] ?? element['valueDateTime'];
  return typeof plain === 'string' ? plain : words(element['valueCodeableConcept']);
}

/** The parts of a panel, such as a blood pressure. */
function components(resource: Json, text: string): string[] {
  const items: unknown[] = Array.isArray(resource['component']) ? resource['component'] : [];
  return items.flatMap((item, index) => {
    if (!isObject(item)) return [];
    const found = value(item, ['component', index], text);
    return found === undefined ? [] : [[words(item['code']), found].filter((part) => part !== undefined).join(': ')];
  });
}

/** When it happened, in the resource's own words. */
function when(resource: Json): string | undefined {
  for (const name of [
    'effectiveDateTime',
    'onsetDateTime',
    'performedDateTime',
    'occurrenceDateTime',
    'authoredOn',
    'recordedDate',
    'date',
    'created',
    'issued',
    'authored',
  ]) {
    const found = resource[name];
    if (typeof found === 'string') return found;
  }
  const period = resource['period'] ?? resource['performedPeriod'] ?? resource['billablePeriod'];
  return isObject(period) && typeof period['start'] === 'string' ? period['start'] : undefined;
}

function answers(resource: Json): string[] {
  const items = Array.isArray(resource['item']) ? (resource['item'] as unknown[]).filter(isObject) : [];
  return items.map((item) => {
    const answer = first(item['answer']);
    return [words(item['text']), isObject(answer) ? words(answer['valueString']) : undefined].filter(Boolean).join(' — ');
  });
}

/** A resource in a few words for people: what, when, and what was noted. Says nothing that the resource does not say. */
export function describe(content: RawJson | null): { title: string; when: string; body: string } {
  const resource = content?.parse();
  if (!content || !isObject(resource)) return { title: '', when: '', body: '' };
  const kind = typeof resource['resourceType'] === 'string' ? resource['resourceType'] : '';
  const medication = words(resource['medicationCodeableConcept']);
  const subject =
    words(resource['code']) ??
    medication ??
    words(resource['vaccineCode']) ??
    words(resource['type']) ??
    words(resource['category']) ??
    words(resource['description']) ??
    words(resource['title']);
  const notes = (Array.isArray(resource['note']) ? (resource['note'] as unknown[]) : []).flatMap((note) =>
    isObject(note) ? (words(note['text']) ?? []) : [],
  );
  const body = [
    value(resource, [], content.text),
    ...components(resource, content.text),
    words(resource['conclusion']),
    ...answers(resource),
    ...notes,
  ].filter((line): line is string => line !== undefined && line !== '');
  return { title: subject === undefined ? kind : `${kind}: ${subject}`, when: when(resource) ?? '', body: body.join('\n') };
}
