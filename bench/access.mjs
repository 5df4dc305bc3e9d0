/**
 * P12: our access decision beside Cedar's, on the same 50 rules of a consent contract and the same requests. Cedar is used in its fastest form: policies
 * parsed once (`preparsePolicySet`), a request needs no entities. Before anything is timed, both must give the same answer to every request.
 */
import { createRequire } from 'node:module';
import { median } from './statistics.mjs';

const RULES = 50;
const PATIENT = 'patient-1';
const HOME = 'hospital-home';
const PURPOSES = ['TREAT', 'ETREAT', 'HOPERAT', 'PATRQT'];
const ACTIONS = ['patient.read', 'record.list', 'record.read', 'attachment.read', 'chain.read', 'chain.verify'];
const EPOCH = Date.parse('2026-01-01T00:00:00.000Z');
const DAY = 86_400_000;

/** Numbers that look random and are the same in every run (mulberry32). */
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function contractOf(pick) {
  const some = (list) => list.filter((_, index) => index === 0 || pick(2) === 0);
  const rules = Array.from({ length: RULES }, (_, index) => {
    const from = EPOCH + pick(200) * DAY;
    return {
      id: `rule-${index}`,
      effect: 'permit',
      mode: 'raw',
      who: index % 2 === 0 ? { hospitals: [`hospital-${index}`, `hospital-${index + 1}`] } : { doctors: [`doctor-${index}`] },
      purposes: some(PURPOSES),
      actions: some(ACTIONS),
      validFrom: new Date(from).toISOString(),
      validUntil: new Date(from + (1 + pick(200)) * DAY).toISOString(),
    };
  });
  return { schema: 'bjwt.consent/1', patientId: PATIENT, version: 1, previous: null, base: 'own-hospital', rules };
}

/** Readers from the own hospital, from hospitals and doctors that rules name, and strangers; the patient; a role that never may. */
function requestsOf(contract, pick, count) {
  return Array.from({ length: count }, (_, index) => {
    const kind = index % 8;
    const actor =
      kind === 0
        ? { id: PATIENT, role: 'PATIENT', hospitalId: null }
        : { id: `doctor-${pick(RULES)}`, role: 'DOCTOR', hospitalId: kind === 1 ? HOME : `hospital-${pick(RULES)}` };
    const action = kind === 2 ? 'consent.change' : ACTIONS[pick(ACTIONS.length)];
    const now = EPOCH + pick(400) * DAY;
    return { actor, action, purpose: PURPOSES[pick(PURPOSES.length)], patient: { id: PATIENT, hospitalId: HOME }, contract, now };
  });
}

const quoted = (list) => `[${list.map((item) => JSON.stringify(item)).join(', ')}]`;

/** The same rules in Cedar. The role's ceiling is a rule that forbids, and lists the acts of each role, as ours does. */
function policiesOf({ rules }, ceiling) {
  const policies = {
    self: 'permit(principal, action, resource) when { context.role == "PATIENT" && context.actor == context.patient };',
    own: 'permit(principal, action, resource) when { context.role != "PATIENT" && context.hospital == context.home };',
  };
  for (const role of ['PATIENT', 'DOCTOR']) {
    const never = Object.keys(ceiling).filter((action) => !ceiling[action].includes(role));
    const acts = never.map((action) => `Action::${JSON.stringify(action)}`).join(', ');
    policies[`ceiling-${role}`] = `forbid(principal, action in [${acts}], resource) when { context.role == "${role}" };`;
  }
  for (const { id, who, purposes, actions, validFrom, validUntil } of rules) {
    const named =
      'doctors' in who ? `${quoted(who.doctors)}.contains(context.actor)` : `${quoted(who.hospitals)}.contains(context.hospital)`;
    const acts = actions.map((action) => `Action::${JSON.stringify(action)}`).join(', ');
    const during = `context.now >= ${Date.parse(validFrom)} && context.now < ${Date.parse(validUntil)}`;
    policies[id] =
      `permit(principal, action in [${acts}], resource) when { context.role != "PATIENT" && ${named} && ${quoted(purposes)}.contains(context.purpose) && ${during} };`;
  }
  return policies;
}

const callOf = ({ actor, action, purpose, patient, now }) => ({
  principal: { type: 'User', id: actor.id },
  action: { type: 'Action', id: action },
  resource: { type: 'Chart', id: patient.id },
  context: {
    role: actor.role,
    actor: actor.id,
    hospital: actor.hospitalId ?? '',
    patient: patient.id,
    home: patient.hospitalId,
    purpose,
    now,
  },
  preparsedPolicySetId: 'contract',
  entities: [],
});

/** Decisions a second over all requests, again and again for some `ms`. */
function rateOf(decide, inputs, ms) {
  const started = performance.now();
  let count = 0;
  let elapsed = 0;
  do {
    for (const input of inputs) decide(input);
    count += inputs.length;
    elapsed = performance.now() - started;
  } while (elapsed < ms);
  return (count * 1000) / elapsed;
}

/** @param {{ dist: string, quick: boolean, rounds: number }} setup */
export async function measureAccess({ dist, quick, rounds }) {
  const require = createRequire(`${dist}/src/main.js`);
  const { decide, CEILING } = require(`${dist}/src/access/decision.js`);
  const { parseContract } = require(`${dist}/src/access/contract.js`);
  const cedar = await import('@cedar-policy/cedar-wasm/nodejs').catch(() => null);
  if (!cedar) return null;
  const pick = numbers(12);
  const contract = parseContract(JSON.stringify(contractOf(pick)), PATIENT);
  if (!contract) throw new Error('access: the contract is not one of ours');
  const requests = requestsOf(contract, pick, quick ? 400 : 2000);
  const parsed = cedar.preparsePolicySet('contract', { staticPolicies: policiesOf(contract, CEILING) });
  if (parsed.type !== 'success') throw new Error(`access: ${JSON.stringify(parsed)}`);
  const calls = requests.map(callOf);
  const ours = requests.map((request) => decide(request).permitted);
  const theirs = calls.map((call) => {
    const answer = cedar.statefulIsAuthorized(call);
    if (answer.type !== 'success' || answer.response.diagnostics.errors.length > 0) throw new Error(`access: ${JSON.stringify(answer)}`);
    return answer.response.decision === 'allow';
  });
  const differing = ours.findIndex((permitted, index) => permitted !== theirs[index]);
  if (differing >= 0) throw new Error(`access: ours says ${ours[differing]} to ${JSON.stringify(calls[differing])}`);
  const measured = Array.from({ length: rounds }, () => ({
    ours: rateOf(decide, requests, quick ? 100 : 500),
    cedar: rateOf(cedar.statefulIsAuthorized, calls, quick ? 100 : 500),
  }));
  return {
    rules: RULES,
    requests: requests.length,
    permitted: ours.filter(Boolean).length,
    version: cedar.getCedarSDKVersion(),
    rounds: measured,
  };
}

/** @returns {import('./report.mjs').Row[]} */
export function accessRows({ rules, version, rounds }) {
  return [
    {
      id: 'P12',
      metric: `access decisions at ${rules} rules ÷ cedar-wasm ${version}`,
      unit: '/s',
      ours: median(rounds.map((round) => round.ours)),
      floor: median(rounds.map((round) => round.cedar)),
      ratio: median(rounds.map((round) => round.ours / round.cedar)),
      goal: 80,
      stretch: 150,
    },
  ];
}
