import { Initial1795347000000 } from './1795347000000-initial';
import { SealedTables1795347000001 } from './1795347000001-sealed-tables';

/** In the order in which they run. */
export const postgresMigrations = [Initial1795347000000, SealedTables1795347000001];
