import type { ChartAction } from '../audit/actions';
import type { Role } from '../common/actor';
import type { ConsentContract, ConsentRule, Purpose } from './contract';

/** Everything that a decision depends on. */
export interface DecisionInput {
  readonly actor: { readonly id: string; readonly role: Role; readonly hospitalId: string | null };
  readonly action: ChartAction;
  readonly purpose: Purpose;
  /** `hospitalId` is null when no hospital keeps such a record. */
  readonly patient: { readonly id: string; readonly hospitalId: string | null };
  /** Present when the act concerns one record. */
  readonly record?: { readonly authorId: string; readonly sealed: boolean };
  /** The active contract; null when the patient has none; 'broken' when it cannot be read. */
  readonly contract: ConsentContract | null | 'broken';
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A rule that took part, with a sentence for people. */
export interface DecidingRule {
  readonly id: string;
  readonly sentence: string;
}

export interface Decision {
  readonly permitted: boolean;
  readonly rules: readonly DecidingRule[];
}

/** The most that each role may ever do with a chart. What is not listed is refused, whatever any rule says. */
export const CEILING: Readonly<Record<ChartAction, readonly Role[]>> = {
  'patient.read': ['ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT'],
  'patient.update': ['HOSPITAL', 'DOCTOR'],
  'record.list': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'record.read': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'record.create': ['DOCTOR'],
  'record.update': ['DOCTOR'],
  'record.delete': ['HOSPITAL', 'DOCTOR'],
  'record.seal': ['DOCTOR'],
  'record.attest': ['DOCTOR'],
  'record.correct': ['DOCTOR'],
  'record.import': ['HOSPITAL', 'DOCTOR'],
  'attachment.add': ['DOCTOR'],
  'attachment.read': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'question.ask': ['DOCTOR'],
  'question.list': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'question.answer': ['PATIENT'],
  'consent.read': ['PATIENT'],
  'consent.change': ['PATIENT'],
  'trail.own': ['PATIENT'],
  'chart.print': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'chain.read': ['ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR'],
  'chain.verify': ['ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR'],
  'record.receipt': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'record.bundle': ['HOSPITAL', 'DOCTOR', 'PATIENT'],
  'chain.export': ['HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR'],
  'erasure.request': ['ADMIN', 'HOSPITAL', 'PATIENT'],
  'erasure.list': ['ADMIN', 'HOSPITAL', 'PATIENT', 'AUDITOR'],
  'erasure.approve': ['ADMIN', 'HOSPITAL'],
  'erasure.refuse': ['ADMIN', 'HOSPITAL', 'PATIENT'],
  'erasure.execute': ['ADMIN', 'HOSPITAL'],
  'erasure.certificate': ['ADMIN', 'HOSPITAL', 'PATIENT', 'AUDITOR'],
};

/** Acts that a contract does not name: they show nothing that the named act does not show, and what proves it. */
const CONSENTED_AS: Partial<Record<ChartAction, ChartAction>> = {
  'record.receipt': 'record.read',
  'record.bundle': 'record.read',
  'chain.export': 'chain.read',
};

/** What goes on after the chart was erased: the proofs stay. Everything else is answered with `erased`. */
export const AFTER_ERASURE: readonly ChartAction[] = ['chain.read', 'chain.verify', 'chain.export', 'erasure.list', 'erasure.certificate'];

/** Acts on a draft that only its author does. */
const AUTHOR_ONLY: readonly ChartAction[] = ['record.update', 'record.seal', 'record.attest', 'attachment.add'];

const say = (id: string, sentence: string): DecidingRule => ({ id, sentence });

function inForce(rule: ConsentRule, now: number): boolean {
  return Date.parse(rule.validFrom) <= now && now < Date.parse(rule.validUntil);
}

function names(rule: ConsentRule, actor: DecisionInput['actor']): boolean {
  if ('doctors' in rule.who) return rule.who.doctors.includes(actor.id);
  return actor.hospitalId !== null && rule.who.hospitals.includes(actor.hospitalId);
}

/** Refusals that no permission lifts. */
function denials(input: DecisionInput): DecidingRule[] {
  const { actor, action, record, patient } = input;
  const found: DecidingRule[] = [];
  if (!CEILING[action].includes(actor.role)) found.push(say('role-ceiling', `The role ${actor.role} never does this`));
  if (patient.hospitalId === null) found.push(say('no-chart', 'No hospital keeps a record of this patient'));
  if (!record || record.sealed) return found;
  const isAuthor = record.authorId === actor.id;
  if (!isAuthor && actor.role !== 'HOSPITAL') found.push(say('draft-of-another', 'A draft belongs to its author and the hospital'));
  if (!isAuthor && AUTHOR_ONLY.includes(action)) found.push(say('author-only', 'Only the author changes and seals a draft'));
  return found;
}

function permits(input: DecisionInput): DecidingRule[] {
  const { actor, action, patient, contract, now } = input;
  if (actor.role === 'PATIENT') return actor.id === patient.id ? [say('self', 'The patient sees the own record')] : [];
  if (actor.role === 'ADMIN' || actor.role === 'AUDITOR') return [say('oversight', 'Oversight sees proofs and masked data, never content')];
  if (actor.hospitalId !== null && actor.hospitalId === patient.hospitalId) return [say('own-hospital', 'The hospital keeps this record')];
  if (contract === null || contract === 'broken') return [];
  const act = CONSENTED_AS[action] ?? action;
  const isFor = (rule: ConsentRule) =>
    names(rule, actor) && rule.purposes.includes(input.purpose) && rule.actions.some((one) => one === act);
  return contract.rules
    .filter((rule) => isFor(rule) && inForce(rule, now)) // reading dates takes longest: only of what fits
    .map((rule) => say(`contract:${rule.id}`, 'The patient permits this by the consent contract'));
}

/**
 * Who may do what with whose chart: pure and total; default deny, deny overrides. It names every rule that decided. It runs on each request against the
 * stored contract: consent is never baked into a token.
 */
export function decide(input: DecisionInput): Decision {
  const denied = denials(input);
  if (denied.length > 0) return { permitted: false, rules: denied };
  const permitted = permits(input);
  if (permitted.length > 0) return { permitted: true, rules: permitted };
  if (input.contract === 'broken')
    return { permitted: false, rules: [say('contract-broken', 'The consent contract cannot be read; it permits nothing')] };
  return { permitted: false, rules: [say('no-rule', 'No rule permits this')] };
}
