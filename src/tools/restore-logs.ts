import type { EntityManager } from 'typeorm';
import type { Config } from '../config/config';
import type { RootKeys } from '../crypto/root-keys';
import { hospitalIds } from '../hospital/hospitals.service';
import { verifyCheckpoint } from '../ledger/core/policy';
import { newestCheckpoint, workOf } from '../tlog/checkpoint-store';
import { beginAfterRestore, type BegunLog } from '../tlog/incarnation';
import { LogKeys } from '../tlog/log-keys';
import { readPolicy } from '../tlog/policy-file';
import { checkpointAt } from '../tlog/witness-client';
import { OperatorError } from './operator';

/** What the witnesses of the policy show of our logs now; those that do not answer are passed over. */
export async function shownCheckpoints(manager: EntityManager, { ledger }: Config): Promise<string[]> {
  const witnesses = readPolicy(ledger.policyFile).witnesses.filter(({ url }) => url !== undefined);
  const logs = await workOf(manager);
  const asked = await Promise.all(logs.flatMap(({ origin }) => witnesses.map((witness) => checkpointAt(witness, origin))));
  return asked.filter((note) => typeof note === 'string');
}

/**
 * What was signed after a backup must not be contradicted, and who restores it cannot know what that was: each hospital begins a new log. Only when the
 * former server wrote nothing after the backup do the logs go on.
 * @param shown the newest checkpoints of the logs, as others show them
 * @throws OperatorError when one of them shows that a log did grow
 */
export async function beginLogs(
  tx: EntityManager,
  config: Config,
  rootKeys: RootKeys,
  shown: readonly string[],
  { moved }: { readonly moved: boolean },
): Promise<BegunLog[]> {
  const trust = { keys: new LogKeys(rootKeys, config), policy: readPolicy(config.ledger.policyFile) };
  if (moved) {
    await assertNothingSince(tx, trust.keys, shown);
    return [];
  }
  const begun: BegunLog[] = [];
  for (const hospitalId of await hospitalIds(tx)) begun.push(await beginAfterRestore(tx, trust, hospitalId, shown, Date.now()));
  return begun;
}

async function assertNothingSince(tx: EntityManager, keys: LogKeys, shown: readonly string[]): Promise<void> {
  const nobody = readPolicy(null);
  for (const { id, origin } of await workOf(tx)) {
    const own = BigInt((await newestCheckpoint(tx, id))?.size ?? 0);
    for (const note of shown) {
      const verdict = verifyCheckpoint(note, { ...nobody, logs: [{ key: keys.log(origin).key }] });
      if (!('invalid' in verdict) && verdict.checkpoint.size > own)
        throw new OperatorError(`The log ${origin} grew after the backup was made: leave --moved out`);
    }
  }
}
