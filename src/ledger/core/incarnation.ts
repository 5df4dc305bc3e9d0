import { FormatError } from './bytes';
import { formatDecimal, parseCheckpointText, parseDecimal } from './checkpoint';
import { parseNote } from './note';
import { isKeyName } from './vkey';

/**
 * Why a log begins: its hospital restored an older copy, and the former log cannot go on without contradicting what it signed. The SHA-256 of the text is the
 * hash of the new log's first entry (kind `incarnation`). Well-formed only: whether the checkpoint is signed is for the verifier.
 */
export interface Incarnation {
  /** Name of the new log. */
  readonly origin: string;
  /** Name of the log that ended. */
  readonly formerOrigin: string;
  /** Entries of the former log that the copy still had: entries 1 to `survivors` of the new log, in their order. */
  readonly survivors: bigint;
  /** The former log's last checkpoint that a witness cosigned, a signed note, verbatim. What lies between `survivors` and its size was lost. */
  readonly checkpoint: string;
}

const LABEL = 'bjwt-ehr/inc/v1';
/** Label, two names of at most 255 bytes, a number. */
const MAX_HEAD = 1024;

/** Prints the text. @throws FormatError as {@link parseIncarnation}, for one that it would refuse */
export function formatIncarnation({ origin, formerOrigin, survivors, checkpoint }: Incarnation): string {
  const text = `${LABEL}\n${origin}\n${formerOrigin}\n${formatDecimal(survivors, 'incarnation.survivors')}\n\n${checkpoint}`;
  parseIncarnation(text);
  return text;
}

/**
 * Reads the text; what is accepted prints back to the same. The checkpoint must be one, of the former log.
 * @throws FormatError `incarnation`, `incarnation.<part>`, `note…` or `checkpoint…`
 */
export function parseIncarnation(text: string): Incarnation {
  const split = text.indexOf('\n\n');
  if (split < 0 || split > MAX_HEAD) throw new FormatError('incarnation', 'has no empty line before its checkpoint');
  const [label, origin = '', formerOrigin = '', survivors = '', ...more] = text.slice(0, split).split('\n');
  if (label !== LABEL || more.length > 0) throw new FormatError('incarnation', 'is not a label, two names and a number');
  if (!isKeyName(origin)) throw new FormatError('incarnation.origin', 'names no log');
  if (!isKeyName(formerOrigin) || formerOrigin === origin) throw new FormatError('incarnation.formerOrigin', 'names no other log');
  const checkpoint = text.slice(split + 2);
  if (parseCheckpointText(parseNote(checkpoint).text).origin !== formerOrigin)
    throw new FormatError('incarnation.checkpoint', 'is of another log');
  return { origin, formerOrigin, survivors: parseDecimal(survivors, 'incarnation.survivors'), checkpoint };
}
