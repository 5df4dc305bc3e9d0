import { FormatError, u32be, sha256 } from '../ledger/core/bytes';
import { cosignedBy } from '../ledger/core/cosignature';
import { type Note, type NoteSignature, parseNote, parseSignatureLines, signatureLine } from '../ledger/core/note';
import type { Policy } from '../ledger/core/policy';
import { formatAddCheckpoint, parseSizeAnswer } from '../ledger/core/witness-protocol';

export type Witness = Policy['witnesses'][number];

/** Name and id of its key: by this its cosignatures are stored. */
export function idOf({ key }: Pick<Witness, 'key'>): string {
  return `${key.name}+${u32be(key.id).toString('hex')}`;
}

/** What a witness said. `other-size`: the last checkpoint that it cosigned has this size. */
export type WitnessReply =
  | { readonly said: 'cosigned'; readonly line: string }
  | { readonly said: 'other-size'; readonly size: bigint }
  | { readonly said: 'inconsistent' }
  | { readonly said: 'nothing'; readonly reason: string };

const ANSWER_MS = 1_500;
const MAX_ANSWER = 64 * 1024;

/** Offers a checkpoint (C2SP tlog-witness, add-checkpoint). Never throws: a witness that cannot be reached says nothing. */
export async function offerCheckpoint(
  witness: Witness,
  oldSize: bigint,
  proof: readonly Buffer[],
  checkpoint: string,
): Promise<WitnessReply> {
  try {
    const body = formatAddCheckpoint({ oldSize, proof, checkpoint });
    const answer = await ask(`${prefixOf(witness)}/add-checkpoint`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
    if (answer.status === 409) return { said: 'other-size', size: parseSizeAnswer(answer.text) };
    if (answer.status === 422) return { said: 'inconsistent' };
    if (answer.status !== 200) return { said: 'nothing', reason: `status ${answer.status}` };
    return readCosignature(witness, parseNote(checkpoint), answer.text);
  } catch (error) {
    return { said: 'nothing', reason: reasonOf(error) };
  }
}

/** The newest checkpoint of a log that a witness has cosigned, as a signed note; null when it knows none, undefined when it cannot be asked. */
export async function checkpointAt(witness: Witness, origin: string): Promise<string | null | undefined> {
  try {
    const hash = sha256(origin).toString('hex');
    const answer = await ask(`${prefixOf(witness)}/${hash}/checkpoint`, { method: 'GET' });
    if (answer.status === 200) return answer.text;
    return answer.status === 404 ? null : undefined;
  } catch {
    return undefined;
  }
}

function readCosignature(witness: Witness, note: Note, lines: string): WitnessReply {
  const ofWitness = (item: NoteSignature): boolean => item.name === witness.key.name && item.id === witness.key.id;
  const signature = parseSignatureLines(lines).find(ofWitness);
  if (!signature) return { said: 'nothing', reason: 'no cosignature of its key' };
  const cosigned = cosignedBy({ text: note.text, signatures: [signature] }, witness.key);
  if (!cosigned) return { said: 'nothing', reason: 'its cosignature does not verify' };
  if (cosigned.timestamp === 0n) return { said: 'nothing', reason: 'its cosignature has no time' }; // tlog-witness: it must not be zero
  return { said: 'cosigned', line: signatureLine(signature) };
}

function prefixOf(witness: Witness): string {
  if (witness.url === undefined) throw new FormatError('policy', 'gives no URL for this witness');
  return witness.url.replace(/(?<!\/)\/+$/, '');
}

async function ask(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS) });
  let text = '';
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece as Uint8Array, { stream: true });
    if (text.length > MAX_ANSWER) throw new FormatError('answer', 'is too long');
  }
  return { status: response.status, text };
}

function reasonOf(error: unknown): string {
  if (error instanceof FormatError) return error.message;
  return error instanceof Error ? error.name : 'unknown';
}
