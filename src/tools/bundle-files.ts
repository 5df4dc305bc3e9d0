import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DIRECTORY_TYPES } from '../fhir/bundle';

/** A bundle that can be read when its turn comes: a folder of many does not fit into memory. */
export interface BundleSource {
  readonly fileName: string;
  /** @throws Error when the file cannot be read or unpacked */
  read(): Promise<string>;
}

export interface BundleFolder {
  /** In the order of import: hospitals and professionals first, for patients refer to them. */
  readonly sources: readonly BundleSource[];
  /** JSON files that are not FHIR (no `resourceType`), such as a manifest. */
  readonly skipped: readonly string[];
}

const FILE = /\.json(\.gz)?$/i;
const DIRECTORY_NAME = /^(hospital|practitioner)/i;
const LARGEST_FILE = 256 * 1024 * 1024;
const unpack = promisify(gunzip);

/** Finds the bundles of a folder (`*.json`, `*.json.gz`; not its subfolders). @throws Error when the folder cannot be read */
export async function readBundleFolder(dir: string): Promise<BundleFolder> {
  const names = (await readdir(dir, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() && FILE.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  const [directories, charts, skipped]: [BundleSource[], BundleSource[], string[]] = [[], [], []];
  for (const fileName of names) {
    const source = { fileName, read: () => readText(join(dir, fileName)) };
    const text = await source.read().catch(() => null); // what cannot be read is reported when its turn comes
    if (text !== null && isOtherJson(text)) skipped.push(fileName);
    else if (DIRECTORY_NAME.test(fileName) || (text !== null && !/"resourceType"\s*:\s*"Patient"/.test(text))) directories.push(source);
    else charts.push(source);
  }
  return { sources: [...directories, ...charts], skipped };
}

/** What a bundle says it holds; zero where it is no bundle. The server, not this count, decides what is imported. */
export function countResources(text: string): { clinical: number; patients: number } {
  try {
    const { entry } = JSON.parse(text) as { entry?: { resource?: { resourceType?: string } }[] };
    const types = (entry ?? []).map((item) => item.resource?.resourceType ?? '');
    const patients = types.filter((type) => type === 'Patient').length;
    return { patients, clinical: types.filter((type) => type !== '' && type !== 'Patient' && !DIRECTORY_TYPES.has(type)).length };
  } catch {
    return { clinical: 0, patients: 0 };
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  // A small file may unpack to any size; the server has its own, lower limit.
  const plain = path.toLowerCase().endsWith('.gz') ? await unpack(bytes, { maxOutputLength: LARGEST_FILE }) : bytes;
  return new TextDecoder('utf-8', { fatal: true }).decode(plain);
}

function isOtherJson(text: string): boolean {
  if (text.includes('"resourceType"')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // broken: the server says where
  }
}
