import { consentVersions } from '../access/consents.service';
import { BlockKind } from './core/header';
import { rowFindings, type RowKeeper } from './row-keeper';

/** The versions of consent contracts, by which access is decided: an old one must not come back unseen. */
export const consentRows: RowKeeper = {
  kinds: [BlockKind.consent],

  async findings(manager, patientId, facts) {
    const byId = new Map((await consentVersions(manager, patientId)).map((row) => [row.id, row]));
    return facts.flatMap((fact) => {
      const row = byId.get(fact.recordId);
      const fits = row && {
        version: row.version === fact.version,
        height: row.height === fact.height,
        blockHash: row.blockHash === fact.blockHash,
      };
      return rowFindings(fact, 'consent', fits);
    });
  },

  count: async (manager, patientId) => (await consentVersions(manager, patientId)).length,
  patients: async (manager) => [...new Set((await consentVersions(manager)).map((row) => row.patientId))],
};
