import { Initial1795345000000 } from './1795345000000-initial';
import { SealedTables1795345000001 } from './1795345000001-sealed-tables';
import { Log1795345000002 } from './1795345000002-log';
import { TrailBatches1795345000005 } from './1795345000005-trail-batches';
import { Witness1795345000012 } from './1795345000012-witness';
import { Incarnation1795345000013 } from './1795345000013-incarnation';

/** In the order in which they run. Named here, so that a bundler, Jest and the command line load the same ones. */
export const sqliteMigrations = [
  Initial1795345000000,
  SealedTables1795345000001,
  Log1795345000002,
  TrailBatches1795345000005,
  Witness1795345000012,
  Incarnation1795345000013,
];
