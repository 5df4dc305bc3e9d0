import { FormatError } from '../../src/ledger/core/bytes';
import type { NoteSigner } from '../../src/ledger/core/note';
import { formatVkey, noteKey } from '../../src/ledger/core/vkey';
import { testAuthor } from './chain-maker';

/** A key of signed notes, always the same for one seed. */
export function signer(name: string, type: 1 | 4, seed = name): NoteSigner {
  const { jwk, privateKey } = testAuthor(seed);
  return { key: noteKey(name, type, Buffer.from(jwk.x, 'base64url')), privateKey };
}

/** The field of the FormatError that `run` throws; `accepted` when it throws nothing, the error as text when it is another. */
export function fieldOf(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return error instanceof FormatError ? error.field : String(error);
  }
}

/** A log and five witnesses in two groups within one: the shape of the example of C2SP tlog-policy. */
export const log = signer('example.com/log', 1);
export const [x1, x2, x3, y1, y2] = [1, 2, 3, 4, 5].map((n) => signer(`witness.example/w${n}`, 4)) as [
  NoteSigner,
  NoteSigner,
  NoteSigner,
  NoteSigner,
  NoteSigner,
];
export const v = ({ key }: NoteSigner): string => formatVkey(key);
export const logLine = `log ${v(log)}\n`;
export const witnessLines = `witness X1 ${v(x1)}\nwitness X2 ${v(x2)}\nwitness X3 ${v(x3)}\nwitness Y1 ${v(y1)}\nwitness Y2 ${v(y2)}\n`;
export const full = `${logLine}${witnessLines}group X 2 X1 X2 X3\ngroup Y any Y1 Y2\ngroup X-and-Y all X Y\nquorum X-and-Y\n`;
