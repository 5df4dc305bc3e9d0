import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { type Config, readConfig } from '../config/config';
import { keyStatus, retireKek, retireToken, rotateKeks, rotateToken, tokenStatus } from './keys-operator';
import { runProgram, say, tellUsage } from './program';
import { adoptHsm, rotateRoot } from './root-operator';

const USAGE = `For the operator of a server's keys. Set the environment as for the server (DATA_DIR, KEYS_DIR, KEY_PROVIDER …).

While servers run:
  npm run keys -- status
      The key-encryption keys of each hospital: version, state, how many data keys it wraps.
  npm run keys -- rotate --hospital ID | --all
      A new key-encryption key, and all data keys wrapped by it. No data is encrypted again. Run it again if it was interrupted.
  npm run keys -- retire --hospital ID --version N
      Destroys a former key-encryption key, once it wraps no data key.
  npm run keys -- token status
  npm run keys -- token rotate [--lead SECONDS] [--overlap SECONDS]
      Publishes a new key for access tokens, which signs after the lead (60); former keys verify for the overlap (610) after that: at least
      ACCESS_TOKEN_SECONDS.
  npm run keys -- token retire [--kid=KID]
      Removes the token keys that have ended. With --kid ends that key at once: whoever holds one of its tokens must sign in again. (With
      the equals sign: the name of a key may begin with a dash.)

With the server stopped:
  npm run keys -- rotate --root
      A new root.key, and all key-encryption keys wrapped by it.
  npm run keys -- adopt-hsm
      Moves the root from key files into the token that the settings name (KEY_PROVIDER=pkcs11, PKCS11_…), and seals the other key files.

Exit code: 0 done, 1 refused, 2 the command line is wrong.
`;

type Values = ReturnType<typeof parse>['values'];
type Command = (config: Config) => Promise<void> | void;

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: {
      hospital: { type: 'string' },
      all: { type: 'boolean' },
      root: { type: 'boolean' },
      version: { type: 'string' },
      lead: { type: 'string', default: '60' },
      overlap: { type: 'string', default: '610' },
      kid: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
}

/** The command that the arguments name; undefined when they name none. */
function commandOf(words: string, values: Values): Command | undefined {
  const { hospital, all, root, version, lead, overlap, kid } = values;
  const isNumber = (...texts: (string | undefined)[]) => texts.every((text) => text !== undefined && /^\d{1,6}$/.test(text));
  const targets = [hospital !== undefined, all === true, root === true].filter(Boolean).length;
  switch (words) {
    case 'status':
      return (config) => keyStatus(config, say);
    case 'rotate':
      if (targets !== 1) return undefined;
      return root ? (config) => rotateRoot(config, say) : (config) => rotateKeks(config, hospital ?? null, say);
    case 'retire':
      if (hospital === undefined || !isNumber(version)) return undefined;
      return (config) => retireKek(config, hospital, Number(version), say);
    case 'adopt-hsm':
      return (config) => adoptHsm(config, say);
    case 'token status':
      return (config) => tokenStatus(config, say);
    case 'token rotate':
      if (!isNumber(lead, overlap)) return undefined;
      return (config) => rotateToken(config, { leadMs: Number(lead) * 1000, overlapMs: Number(overlap) * 1000 }, say);
    case 'token retire':
      return (config) => retireToken(config, kid, say);
    default:
      return undefined;
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parse();
  const command = commandOf(positionals.join(' '), values);
  if (values.help || !command) return tellUsage(USAGE, values.help);
  await command(readConfig());
  return 0;
}

runProgram(main, { words: 'Refused: ', code: 1 });
