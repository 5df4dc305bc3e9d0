import { DataKeyRow } from './data-key.entity';
import { KekRow } from './kek.entity';
import { KeyCheckRow } from './key-check.entity';

/** All tables of this module, for the data source. */
export const cryptoEntities = [KekRow, DataKeyRow, KeyCheckRow];
