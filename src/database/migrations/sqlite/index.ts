import { Initial1795345000000 } from './1795345000000-initial';
import { SealedTables1795345000001 } from './1795345000001-sealed-tables';
import { Erasure1795345000004 } from './1795345000004-erasure';

/** In the order in which they run. Named here, so that a bundler, Jest and the command line load the same ones. */
export const sqliteMigrations = [Initial1795345000000, SealedTables1795345000001, Erasure1795345000004];
