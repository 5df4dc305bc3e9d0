import { createSecretKey, randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { RowTagger } from '../../src/crypto/row-tag';
import { useRowTags } from '../../src/database/row-tags';

/** Gives the connections of a scratch database a fresh key for their tags. */
export function tagWithFreshKey(...sources: DataSource[]): RowTagger {
  const tagger = new RowTagger({ ledgerKey: createSecretKey(randomBytes(32)) });
  useRowTags(sources, tagger);
  return tagger;
}
