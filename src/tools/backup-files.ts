import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { Config } from '../config/config';
import { OperatorError } from './operator';

/** Where a backup goes: the file itself, or a new one of this name in a folder. @throws OperatorError when there is one */
export function newFileAt(to: string, name: string): string {
  const path = resolve(statSync(to, { throwIfNoEntry: false })?.isDirectory() === true ? join(to, name) : to);
  assertFree(path);
  if (!existsSync(dirname(path))) throw new OperatorError(`There is no folder ${dirname(path)}`);
  return path;
}

function assertFree(path: string): void {
  if (existsSync(path)) throw new OperatorError(`${path} is there already: nothing is overwritten`);
}

/** @throws OperatorError when the path lies where the data or their keys are: who gets one must not get the other with it */
export function assertApart(path: string, { dataDir, keysDir }: Pick<Config, 'dataDir' | 'keysDir'>): void {
  for (const folder of [dataDir, keysDir]) {
    const way = relative(folder, path);
    if (way !== '..' && !way.startsWith(`..${sep}`))
      throw new OperatorError(`Not inside ${folder}: a backup key stays apart from what it opens`);
  }
}

/**
 * Writes a file that only its owner reads, beside its place and under another name until all of it is on the medium: what bears the name is whole.
 * @returns its size and its SHA-256 in hex
 */
export async function writeWhole(path: string, parts: AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const beside = `${path}.${process.pid}.part`;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(beside, 'wx', 0o600);
  try {
    try {
      for await (const part of parts) {
        hash.update(part);
        bytes += part.length;
        await file.writeFile(part);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    assertFree(path);
    renameSync(beside, path);
  } catch (error) {
    unlinkSync(beside);
    throw error;
  }
  syncFolder(dirname(path));
  return { bytes, sha256: hash.digest('hex') };
}

/** A small file. Never overwrites one. */
export function addFile(path: string, text: string, mode: number): void {
  assertFree(path);
  writeFileSync(path, text, { flag: 'wx', mode, flush: true });
  syncFolder(dirname(path));
}

/** Lets a change of names in a folder outlive a power cut. */
export function syncFolder(dir: string): void {
  if (process.platform === 'win32') return; // a directory cannot be opened there
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
