import { createHash } from 'node:crypto';
import type { ImportResponse } from '../fhir/import.dto';
import { type BundleSource, look } from './bundle-files';
import { type HttpClient, type Problem } from './http-client';
import { count, type Output, ProgressBar } from './progress-bar';

/** Why a file was refused: the element at fault (empty for the file as a whole) and the rule. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

export interface FileResult {
  readonly fileName: string;
  /** Null when the bundle is a directory, or was refused. */
  readonly patientId: string | null;
  /** The server knows this very file from an earlier import: nothing was done. */
  readonly repeated: boolean;
  /** Blocks that were sealed: the clinical resources and the patient's own. */
  readonly sealed: number;
  /** How many the file holds, to be held against `sealed`. */
  readonly expected: number;
  /** New hospitals and professionals. */
  readonly directory: number;
  readonly seconds: number;
  /** Empty when the file was imported. */
  readonly faults: readonly Fault[];
}

export interface ImportSummary {
  readonly results: readonly FileResult[];
  readonly patients: number;
  readonly sealed: number;
  readonly directory: number;
  readonly refused: readonly FileResult[];
  readonly seconds: number;
}

/** Imports bundles one after another over HTTP. A refused one does not stop the others: all of a bundle is stored, or nothing. */
export async function importBundles(
  client: HttpClient,
  sources: readonly BundleSource[],
  tell: { started?(fileName: string): void; finished?(result: FileResult): void } = {},
): Promise<ImportSummary> {
  const results: FileResult[] = [];
  const start = performance.now();
  for (const source of sources) {
    tell.started?.(source.fileName);
    const result = await importOne(client, source);
    results.push(result);
    tell.finished?.(result);
  }
  const sum = (of: (result: FileResult) => number): number => results.reduce((total, result) => total + of(result), 0);
  return {
    results,
    patients: results.filter((result) => result.patientId !== null).length,
    sealed: sum((result) => result.sealed),
    directory: sum((result) => result.directory),
    refused: results.filter((result) => result.faults.length > 0),
    seconds: (performance.now() - start) / 1000,
  };
}

/** The same with a progress bar and a line for each file. */
export async function importWithProgress(
  client: HttpClient,
  sources: readonly BundleSource[],
  output: Output,
  indent = '',
): Promise<ImportSummary> {
  const bar = new ProgressBar(output, sources.length);
  const summary = await importBundles(client, sources, {
    started: (fileName) => bar.draw(fileName),
    finished: (result) => {
      bar.say(`${indent}${lineOf(result)}`);
      for (const fault of result.faults) bar.say(`${indent}    ${fault.path === '' ? 'the file' : fault.path}: ${fault.message}`);
      bar.advance();
    },
  });
  bar.end();
  return summary;
}

export function summaryLine({ patients, sealed, directory, refused, seconds }: ImportSummary): string {
  const rate = seconds > 0 ? ` (${count(Math.round(sealed / seconds))} a second)` : '';
  return (
    `${count(patients)} patients, ${count(sealed)} resources sealed, ${count(directory)} hospitals and professionals, ` +
    `${refused.length} files refused, ${seconds.toFixed(1)} s${rate}`
  );
}

function lineOf({ fileName, faults, patientId, sealed, directory, repeated, seconds }: FileResult): string {
  const time = `${seconds.toFixed(2)} s`;
  if (faults.length > 0) return `✗ ${fileName}  refused  ${time}`;
  if (repeated) return `= ${fileName}  already imported  ${time}`;
  if (patientId === null) return `✓ ${fileName}  directory: ${count(directory)} new  ${time}`;
  return `✓ ${fileName}  ${count(sealed)} sealed  ${time}`;
}

async function importOne(client: HttpClient, source: BundleSource): Promise<FileResult> {
  const start = performance.now();
  const result = (more: Partial<FileResult>): FileResult => ({
    fileName: source.fileName,
    patientId: null,
    sealed: 0,
    expected: 0,
    directory: 0,
    faults: [],
    repeated: false,
    seconds: (performance.now() - start) / 1000,
    ...more,
  });
  const refuse = (message: string): FileResult => result({ faults: [{ path: '', message }] });
  let text: string;
  try {
    text = await source.read();
  } catch (error) {
    return refuse(`cannot be read (${errorCode(error)})`);
  }
  try {
    const { status, body, headers } = await client.send<ImportResponse & Problem>('POST', '/imports', {
      raw: text,
      // The same bundle sent again within a day, as after an interruption, is the same import.
      headers: { 'content-type': 'application/fhir+json', 'idempotency-key': createHash('sha256').update(text).digest('hex') },
    });
    if (status !== 201) return result({ faults: faultsOf(status, body) });
    if (headers.get('idempotency-replayed') === 'true') return result({ repeated: true });
    const { clinical, patients } = look(text);
    return result({ patientId: body.patientId, sealed: body.sealed, directory: body.directory, expected: clinical + patients });
  } catch (error) {
    return refuse(`no answer from the server (${errorCode(error)})`);
  }
}

function faultsOf(status: number, problem: Problem): readonly Fault[] {
  if (problem.errors && problem.errors.length > 0) return problem.errors;
  return [{ path: '', message: `${status} ${problem.detail ?? problem.title ?? 'without a reason'}` }];
}

/** A word for a failure that is safe to print: messages can carry parts of the file. */
function errorCode(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code: unknown = cause instanceof Error ? Reflect.get(cause, 'code') : undefined;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown';
}
