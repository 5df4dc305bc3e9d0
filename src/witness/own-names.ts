import { ConfigError } from '../config/config';
import type { Policy } from '../ledger/core/policy';
import type { LogKeys } from '../tlog/log-keys';

/**
 * A cosignature says that somebody else looked. A policy by which this server would witness its own logs, or ask itself, is refused at the start.
 * @throws ConfigError naming LEDGER_POLICY
 */
export function refuseOwnNames(policy: Policy, keys: LogKeys): void {
  const isOwnWitness = ({ key }: Policy['witnesses'][number]): boolean => key.publicKey.equals(keys.witness.key.publicKey);
  if (policy.witnesses.some(isOwnWitness)) throw new ConfigError('LEDGER_POLICY', 'names this server as a witness of its own logs');
  // Keys of logs are derived from their origins, so an own log is known without a look into the database.
  const isOwnLog = ({ key }: Policy['logs'][number]): boolean => key.publicKey.equals(keys.log(key.name).key.publicKey);
  if (policy.logs.some(isOwnLog)) throw new ConfigError('LEDGER_POLICY', 'names a log of this server as one to witness');
}
