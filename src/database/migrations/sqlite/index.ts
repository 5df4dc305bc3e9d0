import { Initial1795345000000 } from './1795345000000-initial';
import { SealedTables1795345000001 } from './1795345000001-sealed-tables';
import { Log1795345000002 } from './1795345000002-log';
import { AuthorKeys1795345000003 } from './1795345000003-author-keys';
import { Erasure1795345000004 } from './1795345000004-erasure';
import { TrailBatches1795345000005 } from './1795345000005-trail-batches';
import { Witness1795345000012 } from './1795345000012-witness';
import { Incarnation1795345000013 } from './1795345000013-incarnation';
import { SecondFactors1795345000020 } from './1795345000020-second-factors';
import { Lockout1795345000025 } from './1795345000025-lockout';
import { RowTags1795345000035 } from './1795345000035-row-tags';
import { PatientSearch1795345000036 } from './1795345000036-patient-search';
import { SetupOffer1795345000040 } from './1795345000040-setup-offer';

/** In the order in which they run. Named here, so that a bundler, Jest and the command line load the same ones. */
export const sqliteMigrations = [
  Initial1795345000000,
  SealedTables1795345000001,
  Log1795345000002,
  AuthorKeys1795345000003,
  Erasure1795345000004,
  TrailBatches1795345000005,
  Witness1795345000012,
  Incarnation1795345000013,
  SecondFactors1795345000020,
  Lockout1795345000025,
  RowTags1795345000035,
  PatientSearch1795345000036,
  SetupOffer1795345000040,
];
