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
const LARGEST_FILE = 256 * 1024 * 1024;
const unpack = promisify(gunzip);

/** What a text says it holds. The server, not this look at it, decides what is imported. */
export interface Contents {
  readonly kind: 'bundle' | 'unknown' | 'not FHIR';
  readonly patients: number;
  /** Resources that are neither a patient nor of the directory. */
  readonly clinical: number;
}

/** Finds the bundles of a folder (`*.json`, `*.json.gz`; not its subfolders). @throws Error when the folder cannot be read */
export async function readBundleFolder(dir: string): Promise<BundleFolder> {
  const names = (await readdir(dir, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory() && FILE.test(entry.name))
    .map((entry) => entry.name)
    .sort();
  const [directories, charts, skipped]: [BundleSource[], BundleSource[], string[]] = [[], [], []];
  for (const fileName of names) {
    const source = { fileName, read: () => readText(join(dir, fileName)) };
    // What cannot be read is reported when its turn comes.
    const { kind, patients } = await source.read().then(look, () => UNKNOWN);
    if (kind === 'not FHIR') skipped.push(fileName);
    else if (kind === 'bundle' && patients === 0) directories.push(source);
    else charts.push(source);
  }
  return { sources: [...directories, ...charts], skipped };
}

const UNKNOWN: Contents = { kind: 'unknown', patients: 0, clinical: 0 };

/** Never throws: where the text is broken, the server says where. */
export function look(text: string): Contents {
  try {
    const value = JSON.parse(text) as { resourceType?: unknown; entry?: { resource?: { resourceType?: unknown } }[] } | null;
    if (typeof value !== 'object' || value === null || !('resourceType' in value)) return { ...UNKNOWN, kind: 'not FHIR' };
    if (value.resourceType !== 'Bundle') return UNKNOWN;
    const types = (value.entry ?? []).map((item) => item.resource?.resourceType).filter((type) => typeof type === 'string');
    const patients = types.filter((type) => type === 'Patient').length;
    return { kind: 'bundle', patients, clinical: types.filter((type) => !DIRECTORY_TYPES.has(type)).length - patients };
  } catch {
    return UNKNOWN;
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  // A small file may unpack to any size; the server has its own, lower limit.
  const plain = path.toLowerCase().endsWith('.gz') ? await unpack(bytes, { maxOutputLength: LARGEST_FILE }) : bytes;
  return new TextDecoder('utf-8', { fatal: true }).decode(plain);
}
