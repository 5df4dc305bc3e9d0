import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The compiled files lie one folder deeper than their sources. */
const manifest = ['../..', '../../..'].map((up) => join(__dirname, up, 'package.json')).find((file) => existsSync(file));

/** Of this software, as in package.json. */
export const version = manifest === undefined ? 'unknown' : (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
