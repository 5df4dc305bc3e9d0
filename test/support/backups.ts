import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/config';
import { readConfig } from '../../src/config/config';
import { makeBackup, makeBackupKey, type MadeBackup } from '../../src/tools/backup-operator';
import { restoreBackup, type Restored, type RestoreOptions } from '../../src/tools/restore-operator';
import { TEST_SETTINGS, type TestApp } from './test-app';
import { dropStore, storeOf } from './test-store';

/** A folder outside all data, with a backup key in it. */
export interface Vault {
  readonly dir: string;
  readonly key: string;
  readonly recipient: string;
}

export function makeVault(config: Pick<Config, 'dataDir' | 'keysDir'>): Vault {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-vault-'));
  const key = makeBackupKey(config, dir);
  return { dir, key, recipient: `${key}.pub` };
}

export function backUp({ foundations: { config } }: Pick<TestApp, 'foundations'>, { dir, recipient }: Vault): Promise<MadeBackup> {
  return makeBackup(config, join(dir, `${Math.random()}.backup`), recipient);
}

/** An empty place on another machine, which has the key files. */
export interface Place {
  readonly dir: string;
  readonly config: Config;
  readonly settings: Record<string, string>;
  restore(from: string, vault: Vault, options?: Partial<RestoreOptions>): Promise<Restored & { readonly said: readonly string[] }>;
  remove(): Promise<void>;
}

/** @param store settings of the database; by default of the kind that the suite runs on */
export async function emptyPlace(keysDir: string, store?: Record<string, string>): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'bjwt-ehr-restored-'));
  cpSync(keysDir, join(dir, 'keys'), { recursive: true });
  const settings = store ?? (await storeOf(dir));
  const config = readConfig({ ...TEST_SETTINGS, ...settings, DATA_DIR: dir });
  return {
    dir,
    config,
    settings,
    async restore(from, vault, options = {}) {
      const said: string[] = [];
      const all = { from, keyFile: vault.key, moved: false, acceptFindings: false, witnessed: [], trust: [], erasures: [], ...options };
      return { ...(await restoreBackup(config, all, (line) => said.push(line))), said };
    },
    async remove() {
      await dropStore(dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
