import { Initial1795347000000 } from './1795347000000-initial';
import { SealedTables1795347000001 } from './1795347000001-sealed-tables';
import { SetupOffer1795347000010 } from './1795347000010-setup-offer';

/** In the order in which they run. */
export const postgresMigrations = [Initial1795347000000, SealedTables1795347000001, SetupOffer1795347000010];
