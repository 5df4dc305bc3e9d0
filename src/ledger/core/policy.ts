import { isUtf8 } from 'node:buffer';
import { FormatError } from './bytes';
import { Checkpoint, ParsedCheckpoint, parseCheckpointText } from './checkpoint';
import { cosignedBy } from './cosignature';
import { Note, noteSignedBy, parseNote } from './note';
import { EMPTY_ROOT } from './tree';
import { NoteKey, parseVkey } from './vkey';

/** Whom a verifier trusts (C2SP tlog-policy). It lies with the verifier, never in the database that is verified. */
export interface Policy {
  /** Keys of type 1; a log may have several. A key's name is the log's origin. */
  readonly logs: readonly { readonly key: NoteKey; readonly url?: string }[];
  /** Keys of type 4. `name` is that of the policy, which has no meaning outside of it. */
  readonly witnesses: readonly { readonly name: string; readonly key: NoteKey; readonly url?: string }[];
  /** Whether cosignatures of these witnesses (names of the policy; others are ignored) are enough. With `quorum none` it is always true. */
  readonly quorumMet: (cosigners: ReadonlySet<string>) => boolean;
  /** A witness, a group, or `none`. */
  readonly quorumName: string;
}

/** What a policy says about a note: the log's signature is good, and so is that of every known witness that stands there. */
export interface CheckpointVerdict {
  readonly checkpoint: Checkpoint;
  readonly logKey: NoteKey;
  /** Known witnesses with their times in seconds since the epoch, by their own clocks. */
  readonly cosigners: readonly { readonly name: string; readonly timestamp: bigint }[];
  /** The quorum is met and at least one known witness cosigned: under `quorum none` a bare checkpoint is valid, but nobody witnessed it. */
  readonly witnessed: boolean;
}

/** Bounds on a policy. The specification recommends at least 32 of each kind of line. */
const MAX_POLICY_BYTES = 262_144;
const MAX_LINES_OF_A_KIND = 256;
const NOT_POLICY_OCTET = /[^\t\x20-\x7e\x80-\xff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const THRESHOLD = /^[1-9][0-9]{0,3}$/;

/**
 * Reads a policy. Each line must end in a newline, so that a file that was cut off is noticed.
 * @param bytes octets, or a text that stands for its UTF-8 form. Names and URLs that are not UTF-8 are opaque: their octets from 0x80 come
 * out as the code units U+DC80 to U+DCFF, so two names never become one
 * @throws FormatError `policy line N`, from 1, or `policy` for the whole
 */
export function parsePolicy(bytes: Uint8Array | string): Policy {
  // Without this, a lone surrogate would become the octets of another name.
  if (typeof bytes === 'string' && LONE_SURROGATE.test(bytes)) throw new FormatError('policy', 'is not UTF-8');
  const octets = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : Buffer.from(bytes);
  if (octets.length > MAX_POLICY_BYTES) throw new FormatError('policy', `has more than ${MAX_POLICY_BYTES} bytes`);
  // One character for each octet, so that nothing below depends on Unicode.
  const lines = octets.toString('latin1').split('\n');
  if (lines.pop() !== '') throw new FormatError('policy', 'does not end with a newline');
  const reader = new PolicyReader();
  lines.forEach((line, at) => reader.read(line, `policy line ${at + 1}`));
  return reader.policy();
}

type Rule = (cosigners: ReadonlySet<string>) => boolean;

class PolicyReader {
  private readonly logs: Policy['logs'][number][] = [];
  private readonly witnesses: Policy['witnesses'][number][] = [];
  /** Every defined witness and group. */
  private readonly rules = new Map<string, Rule>();
  private readonly members = new Set<string>();
  private groups = 0;
  private quorum: { readonly name: string; readonly rule: Rule } | undefined;

  read(line: string, field: string): void {
    if (NOT_POLICY_OCTET.test(line)) throw new FormatError(field, 'has a control character');
    const [keyword, ...items] = line.split(/[ \t]+/).filter((item) => item !== '');
    if (keyword === undefined || keyword.startsWith('#')) return;
    const texts = items.map(opaque);
    if (keyword === 'log') this.readLog(texts, field);
    else if (keyword === 'witness') this.readWitness(texts, field);
    else if (keyword === 'group') this.readGroup(texts, field);
    else if (keyword === 'quorum') this.readQuorum(texts, field);
    else throw new FormatError(field, 'is none of log, witness, group and quorum');
  }

  policy(): Policy {
    if (this.quorum === undefined) throw new FormatError('policy', 'has no quorum line');
    return { logs: this.logs, witnesses: this.witnesses, quorumMet: this.quorum.rule, quorumName: this.quorum.name };
  }

  private readLog([vkey, url, ...rest]: readonly string[], field: string): void {
    if (vkey === undefined || rest.length > 0) throw new FormatError(field, 'is not: log <vkey> [<url>]');
    this.logs.push({ key: this.newKey(vkey, 1, this.logs, field), ...(url === undefined ? {} : { url }) });
  }

  private readWitness([name, vkey, url, ...rest]: readonly string[], field: string): void {
    if (name === undefined || vkey === undefined || rest.length > 0) throw new FormatError(field, 'is not: witness <name> <vkey> [<url>]');
    const key = this.newKey(vkey, 4, this.witnesses, field);
    this.define(name, (cosigners) => cosigners.has(name), field);
    this.witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
  }

  private readGroup([name, count, ...names]: readonly string[], field: string): void {
    if (name === undefined || count === undefined || names.length === 0) {
      throw new FormatError(field, 'is not: group <name> all|any|<k> <name>...');
    }
    if ((this.groups += 1) > MAX_LINES_OF_A_KIND) throw new FormatError(field, `is more than ${MAX_LINES_OF_A_KIND} groups`);
    const least = count === 'any' ? 1 : count === 'all' ? names.length : THRESHOLD.test(count) ? Number(count) : 0;
    if (least < 1 || least > names.length) throw new FormatError(field, `needs all, any or 1 to ${names.length} of its members`);
    const rules = names.map((member) => this.member(member, field));
    this.define(name, (cosigners) => rules.filter((rule) => rule(cosigners)).length >= least, field);
  }

  private readQuorum([name, ...rest]: readonly string[], field: string): void {
    if (name === undefined || rest.length > 0) throw new FormatError(field, 'is not: quorum <name>');
    if (this.quorum !== undefined) throw new FormatError(field, 'is a second quorum line');
    const rule = name === 'none' ? (): boolean => true : this.rules.get(name);
    if (rule === undefined) throw new FormatError(field, 'names nothing that is defined above');
    this.quorum = { name, rule };
  }

  private define(name: string, rule: Rule, field: string): void {
    if (name === 'none') throw new FormatError(field, 'defines the name none');
    if (this.rules.has(name)) throw new FormatError(field, 'defines a name again');
    this.rules.set(name, rule);
  }

  /** A name is a member once in the whole file, so that a witness counts in one way only. */
  private member(name: string, field: string): Rule {
    const rule = this.rules.get(name);
    if (rule === undefined) throw new FormatError(field, 'has a member that is not defined above');
    if (this.members.has(name)) throw new FormatError(field, 'has a member that is one already');
    this.members.add(name);
    return rule;
  }

  private newKey(vkey: string, type: NoteKey['type'], others: readonly { readonly key: NoteKey }[], field: string): NoteKey {
    if (others.length >= MAX_LINES_OF_A_KIND) throw new FormatError(field, `is more than ${MAX_LINES_OF_A_KIND} of its kind`);
    const key = keyOfLine(vkey, field);
    if (key.type !== type) throw new FormatError(field, `needs a key of type ${type}`);
    if (others.some((other) => other.key.publicKey.equals(key.publicKey))) throw new FormatError(field, 'has a key that is listed already');
    // A signature names its key by these two alone. An id of 32 bits is found by trial: the second key would make good notes fail.
    const taken = [...this.logs, ...this.witnesses].some((other) => other.key.name === key.name && other.key.id === key.id);
    if (taken) throw new FormatError(field, 'has a key with the name and id of another');
    return key;
  }
}

function keyOfLine(vkey: string, field: string): NoteKey {
  try {
    return parseVkey(vkey);
  } catch (error) {
    throw error instanceof FormatError ? new FormatError(field, error.message) : error;
  }
}

/** The text of an item, given as one character for each octet. */
function opaque(item: string): string {
  const octets = Buffer.from(item, 'latin1');
  if (isUtf8(octets)) return octets.toString('utf8');
  return item.replace(/[\x80-\xff]/g, (octet) => String.fromCharCode(0xdc00 + octet.charCodeAt(0)));
}

/**
 * Verifies a signed checkpoint: form, the log's signature, the signatures of all known witnesses, the quorum. A signature of a known key
 * that does not fit refuses the whole note; unknown keys are ignored. Never throws for a hostile text. It does not compare with checkpoints
 * seen before: that needs the verifier's memory.
 * @returns the verdict, or the field at fault: `checkpoint`, `checkpoint.origin` (no log of the policy), `checkpoint.size`, `checkpoint.root`,
 * `checkpoint.extension`, `checkpoint.signature` (the log's, missing or bad) or `cosignature <name>`
 */
export function verifyCheckpoint(noteText: string, policy: Policy): CheckpointVerdict | { readonly invalid: string } {
  const parsed = readCheckpoint(noteText);
  if ('invalid' in parsed) return parsed;
  const { note, checkpoint } = parsed;
  const logKey = verifiedLog(note, checkpoint.origin, policy);
  if ('invalid' in logKey) return logKey;
  // A signed head that no tree has: consistency proofs from it would prove nothing.
  if (checkpoint.size === 0n && !checkpoint.root.equals(EMPTY_ROOT)) return { invalid: 'checkpoint.root' };
  const cosigners: { readonly name: string; readonly timestamp: bigint }[] = [];
  for (const { name, key } of policy.witnesses) {
    const cosignature = cosignedBy(note, key);
    if (cosignature === false) return { invalid: `cosignature ${name}` };
    if (cosignature !== undefined) cosigners.push({ name, timestamp: cosignature.timestamp });
  }
  const witnessed = cosigners.length > 0 && policy.quorumMet(new Set(cosigners.map(({ name }) => name)));
  const { origin, size, root } = checkpoint;
  return { checkpoint: { origin, size, root }, logKey, cosigners, witnessed };
}

function readCheckpoint(noteText: string): { readonly note: Note; readonly checkpoint: ParsedCheckpoint } | { readonly invalid: string } {
  try {
    const note = parseNote(noteText);
    return { note, checkpoint: parseCheckpointText(note.text) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { invalid: error.field.startsWith('checkpoint') ? error.field : 'checkpoint' };
  }
}

function verifiedLog(note: Note, origin: string, policy: Policy): NoteKey | { readonly invalid: string } {
  const signed = policy.logs.map(({ key }) => ({ key, fits: noteSignedBy(note, key) }));
  if (signed.some(({ fits }) => fits === false)) return { invalid: 'checkpoint.signature' };
  const ofOrigin = signed.filter(({ key }) => key.name === origin);
  if (ofOrigin.length === 0) return { invalid: 'checkpoint.origin' };
  return ofOrigin.find(({ fits }) => fits === true)?.key ?? { invalid: 'checkpoint.signature' };
}
