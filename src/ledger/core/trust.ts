import { FormatError } from './bytes';
import { Checkpoint, parseCheckpointText } from './checkpoint';
import { parseNote } from './note';

/** Largest memory, in characters. */
const MAX_TRUST = 4 * 1024 * 1024;

interface TrustedNote {
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

function readTrusted(note: string): TrustedNote {
  const { origin, size, root } = parseCheckpointText(parseNote(note).text);
  return { note, checkpoint: { origin, size, root } };
}

/**
 * The verifier's memory: of each log the newest checkpoint that it saw, as the signed note, so that two notes of one size and two roots are
 * evidence against the log. It lies with the verifier and never comes from whoever is verified.
 *
 * As text: the notes, with an empty line between two. With one log it is just that log's note.
 */
export class TrustedCheckpoints {
  private constructor(private readonly notes: ReadonlyMap<string, TrustedNote>) {}

  static empty(): TrustedCheckpoints {
    return new TrustedCheckpoints(new Map());
  }

  /** Reads the text. The signatures were checked when the notes were kept. @throws FormatError `trust`, `note…` or `checkpoint…` */
  static parse(text: string): TrustedCheckpoints {
    if (text.length > MAX_TRUST) throw new FormatError('trust', 'is too long');
    const notes = new Map<string, TrustedNote>();
    if (text === '') return TrustedCheckpoints.empty();
    // A checkpoint has no empty line, so parts take turns: text, signatures, text, signatures …
    const parts = text.split('\n\n');
    for (let at = 0; at < parts.length; at += 2) {
      const note = `${parts[at] ?? ''}\n\n${(parts[at + 1] ?? '').replace(/\n?$/, '\n')}`;
      const read = readTrusted(note);
      if (notes.has(read.checkpoint.origin)) throw new FormatError('trust', 'has two checkpoints of one log');
      notes.set(read.checkpoint.origin, read);
    }
    return new TrustedCheckpoints(notes);
  }

  /** The newest checkpoint that was seen of a log. */
  newest(origin: string): Checkpoint | undefined {
    return this.notes.get(origin)?.checkpoint;
  }

  /** The same with this note as the newest of its log. @throws FormatError when it is not a checkpoint */
  with(note: string): TrustedCheckpoints {
    const read = readTrusted(note);
    return new TrustedCheckpoints(new Map(this.notes).set(read.checkpoint.origin, read));
  }

  /** The text, as `parse` reads it. */
  toString(): string {
    return [...this.notes.values()].map(({ note }) => note).join('\n');
  }
}
