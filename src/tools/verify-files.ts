import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { MAX_CHAIN_BYTES, parseHead } from '../ledger/core/chain-export';
import { FormatError } from '../ledger/core/bytes';
import { checkPublicJwk, thumbprint, type PublicJwk } from '../ledger/core/jwk';
import { parsePolicy } from '../ledger/core/policy';
import type { ProofOptions } from '../ledger/core/proof-checks';
import { verifyProofFile } from '../ledger/core/proof-file';
import type { ProofReport } from '../ledger/core/proof-report';
import { TrustedCheckpoints } from '../ledger/core/trust';
import { parseAddCheckpoint } from '../ledger/core/witness-protocol';

/** What the command line says. Paths of files, but for `keys` (`kid:x`) and `heads` (the text on a print). */
export interface VerifyArguments {
  readonly files: readonly string[];
  readonly policy: string;
  readonly trust?: string | undefined;
  readonly consistency: readonly string[];
  readonly keys: readonly string[];
  readonly heads: readonly string[];
  readonly allowUnwitnessed: boolean;
}

/** Nothing could be verified; the message is for whoever typed the command. */
export class VerifyError extends Error {
  override readonly name = 'VerifyError';
}

/**
 * Verifies files one after another, and remembers the newest checkpoints. Needs neither server nor database nor network.
 * @param tell gets each report
 * @param complain gets a sentence for each file that is none of ours or cannot be read
 * @returns 0 all are good, 1 one is not, 2 one could not be verified
 * @throws VerifyError when what the verifier brings cannot be used
 */
export function verifyFiles(
  args: VerifyArguments,
  tell: (file: string, report: ProofReport) => void,
  complain: (message: string) => void,
): 0 | 1 | 2 {
  const options = readOptions(args);
  let { trust } = options;
  let code: 0 | 1 | 2 = 0;
  for (const file of args.files) {
    try {
      const report = verifyProofFile(readBytes(file), { ...options, ...(trust === undefined ? {} : { trust }) });
      tell(file, report);
      if (trust !== undefined && report.keep && report.checkpoint !== undefined) trust = trust.with(report.checkpoint.note);
      if (code === 0 && !isGood(report, args.allowUnwitnessed)) code = 1;
    } catch (error) {
      // Whatever one file does to its verification, the others get their verdicts, and what they showed is remembered.
      complain(`${file}: ${wordsOf(error)}`);
      code = 2;
    }
  }
  if (args.trust !== undefined && trust !== undefined && trust !== options.trust) save(args.trust, trust);
  return code;
}

/** Erased is as good as valid, but neither is without witnesses, unless the caller says that this will do. */
export function isGood({ verdict, witnessed }: Pick<ProofReport, 'verdict' | 'witnessed'>, allowUnwitnessed: boolean): boolean {
  if (verdict === 'TAMPERED' || verdict === 'INCOMPLETE') return false;
  return witnessed || allowUnwitnessed;
}

function readOptions(args: VerifyArguments): ProofOptions {
  const keys = args.keys.map(readKey);
  return {
    policy: usable(args.policy, () => parsePolicy(readBytes(args.policy))),
    ...(keys.length === 0 ? {} : { keys: new Map(keys) }),
    ...(args.trust === undefined ? {} : { trust: readTrust(args.trust) }),
    consistency: args.consistency.map((file) => usable(file, () => parseAddCheckpoint(readBytes(file).toString('utf8')))),
    heads: args.heads.map((text) => {
      const head = parseHead(text);
      if (head === undefined) throw new VerifyError('--head needs the text of a print: bjwt-ehr:chain:<chain>:<height>:<hash>');
      return head;
    }),
  };
}

function readKey(text: string): [string, PublicJwk] {
  const [kid = '', x = '', ...rest] = text.split(':');
  return usable('--key', () => {
    const jwk = checkPublicJwk({ kty: 'OKP', crv: 'Ed25519', x });
    if (rest.length > 0 || thumbprint(jwk).toString('base64url') !== kid) throw new VerifyError('is not <kid>:<x> with the kid of that x');
    return [kid, jwk];
  });
}

function readTrust(file: string): TrustedCheckpoints {
  if (!existsSync(file)) return TrustedCheckpoints.empty();
  return usable(file, () => TrustedCheckpoints.parse(readBytes(file).toString('utf8')));
}

/** Written beside and moved into place, so that a power cut leaves the old memory or the new one. */
function save(file: string, trust: TrustedCheckpoints): void {
  const beside = `${file}.new`;
  try {
    writeFileSync(beside, trust.toString(), { flush: true });
    renameSync(beside, file);
  } catch (error) {
    throw new VerifyError(`${file} cannot be written (${codeOf(error)})`);
  }
}

function usable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError || error instanceof VerifyError) throw new VerifyError(`${what}: ${error.message}`);
    throw error;
  }
}

function readBytes(file: string): Buffer {
  try {
    if (statSync(file).size > MAX_CHAIN_BYTES) throw new VerifyError('is larger than any file of ours');
    return readFileSync(file);
  } catch (error) {
    throw error instanceof VerifyError ? error : new VerifyError(`cannot be read (${codeOf(error)})`);
  }
}

function wordsOf(error: unknown): string {
  if (error instanceof VerifyError || error instanceof FormatError) return error.message;
  return `could not be verified (${error instanceof Error ? error.name : 'unknown error'})`;
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : 'unknown';
}
