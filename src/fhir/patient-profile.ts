import type { Gender, PatientProfileDto } from '../patient/patient.dto';
import { GENDERS } from '../patient/patient.dto';

type Json = Record<string, unknown>;

/** Identifier types (HL7 v2-0203) in the order in which they name one person best. */
const IDENTIFIER_TYPES = ['NI', 'SS', 'MR', 'PPN', 'DL'];
/** Numbers of a person in a country: hospitals write and search for them without a system. */
const NATIONAL_TYPES = new Set<unknown>(['NI', 'SS']);
/** Long enough for a web address and a UUID: what is cut off would no longer tell two people apart. */
const IDENTIFIER_LENGTH = 400;

function objects(value: unknown): Json[] {
  return Array.isArray(value)
    ? value.filter((item): item is Json => typeof item === 'object' && item !== null && !Array.isArray(item))
    : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function typeCode(identifier: Json): string | undefined {
  const type = identifier['type'] as Json | undefined;
  return text(objects(type?.['coding'])[0]?.['code']);
}

/** At most `length` code points: half a surrogate pair is no text. */
function clip(value: string | undefined, length: number): string | undefined {
  // Twice as many code units hold them, so a very long text is not taken apart as a whole.
  return value === undefined
    ? undefined
    : Array.from(value.slice(0, 2 * length))
        .slice(0, length)
        .join('');
}

/**
 * The identifier by which a second import of the same person is recognised: the best known type, else the first one. A national one is its value;
 * any other is `system|value`, for two systems may give two people the same value.
 */
function identifier(patient: Json): string | undefined {
  const all = objects(patient['identifier']).filter((item) => text(item['value']) !== undefined);
  const best = IDENTIFIER_TYPES.map((code) => all.find((item) => typeCode(item) === code)).find((item) => item !== undefined) ?? all[0];
  const [system, value] = [text(best?.['system']), text(best?.['value'])];
  const isPlain = !best || system === undefined || value === undefined || NATIONAL_TYPES.has(typeCode(best));
  return clip(isPlain ? value : `${system}|${value}`, IDENTIFIER_LENGTH);
}

function humanName(patient: Json): string {
  const names = objects(patient['name']);
  const name = names.find((item) => item['use'] === 'official') ?? names[0];
  if (!name) return 'Unnamed';
  const given = Array.isArray(name['given']) ? name['given'].filter((part): part is string => typeof part === 'string') : [];
  const parts = [...given, text(name['family'])].filter((part): part is string => part !== undefined);
  return clip(parts.length > 0 ? parts.join(' ') : text(name['text']), 200) ?? 'Unnamed';
}

function telecom(patient: Json, system: string): string | undefined {
  return clip(text(objects(patient['telecom']).find((item) => item['system'] === system)?.['value']), 200);
}

function address(patient: Json): string | undefined {
  const first = objects(patient['address'])[0];
  if (!first) return undefined;
  const lines = Array.isArray(first['line']) ? first['line'].filter((line): line is string => typeof line === 'string') : [];
  const parts = [...lines, first['postalCode'], first['city'], first['state'], first['country']]
    .map(text)
    .filter((part) => part !== undefined);
  return clip(parts.length > 0 ? parts.join(', ') : text(first['text']), 500);
}

/** Administrative data out of a FHIR R4 Patient. The resource itself is sealed whole; this is what the hospital searches and prints by. */
export function profileOf(patient: Json): PatientProfileDto {
  const gender = GENDERS.find((item) => item === patient['gender']) ?? 'unknown';
  const [nationalId, phone, email, home] = [identifier(patient), telecom(patient, 'phone'), telecom(patient, 'email'), address(patient)];
  return {
    name: humanName(patient),
    birthDate: text(patient['birthDate']) ?? 'unknown',
    gender: gender satisfies Gender,
    ...(nationalId === undefined ? {} : { nationalId }),
    ...(phone === undefined ? {} : { phone }),
    ...(email === undefined ? {} : { email }),
    ...(home === undefined ? {} : { address: home }),
  };
}
