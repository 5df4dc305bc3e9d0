import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/config';
import { FormatError } from '../ledger/core/bytes';
import { parsePolicy, type Policy } from '../ledger/core/policy';

/** The server's own policy. */
export interface ServerPolicy extends Policy {
  /** The lines about witnesses, groups and quorum, to hand to those who verify our receipts. */
  readonly witnessLines: string;
}

/** Injection token of the `ServerPolicy`. */
export const POLICY = Symbol('POLICY');

const NOBODY = 'quorum none\n';
const LOG_LINE = /^[ \t]*log[ \t]/;

/**
 * The server's policy (C2SP tlog-policy): `log` lines name the logs that it witnesses for others, `witness` lines with their URL whom it asks for
 * cosignatures, `quorum` what makes a checkpoint witnessed.
 * @param setting what named the file, for messages
 * @throws ConfigError naming the setting and the line, when the file cannot be used
 */
export function readPolicy(file: string | null, setting = 'LEDGER_POLICY'): ServerPolicy {
  if (file === null) return { ...parsePolicy(NOBODY), witnessLines: NOBODY };
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    throw new ConfigError(setting, 'the file cannot be read');
  }
  try {
    return {
      ...parsePolicy(bytes),
      witnessLines: bytes
        .toString('utf8')
        .split('\n')
        .filter((line) => !LOG_LINE.test(line))
        .join('\n'),
    };
  } catch (error) {
    if (error instanceof FormatError) throw new ConfigError(setting, `${error.field}: ${error.message}`);
    throw error;
  }
}
