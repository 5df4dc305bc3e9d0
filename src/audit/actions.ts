/** Acts on the trail that concern no single chart. */
export const SYSTEM_ACTIONS = [
  'setup',
  'login',
  'refresh',
  'logout',
  'password.change',
  'account.register',
  'account.issue',
  'account.activate',
  'account.approve',
  'account.reject',
  'account.lock',
  'account.unlock',
  'account.close',
  'account.list',
  'hospital.create',
  'staff.list',
  'staff.add',
  'staff.leave',
  'staff.read',
  'staff.print',
  'entries.list',
  'patient.enrol',
  'patient.list',
  'directory.import',
  'trail.read',
  'request.replay',
] as const;
export type SystemAction = (typeof SYSTEM_ACTIONS)[number];

/** Acts on one patient's chart: `access` decides each of them. */
export const CHART_ACTIONS = [
  'patient.read',
  'patient.update',
  'record.list',
  'record.read',
  'record.create',
  'record.update',
  'record.delete',
  'record.seal',
  'record.correct',
  'record.import',
  'attachment.add',
  'attachment.read',
  'question.ask',
  'question.list',
  'question.answer',
  'consent.read',
  'consent.change',
  'trail.own',
  'chart.print',
  'record.receipt',
  'record.bundle',
  'chain.read',
  'chain.verify',
  'chain.export',
] as const;
export type ChartAction = (typeof CHART_ACTIONS)[number];

export type AuditAction = SystemAction | ChartAction;

/** Acts by which something is added to the system (R20); a row's `count` says how many things, one when it is null. */
export const ADDING_ACTIONS: readonly AuditAction[] = [
  'account.register',
  'account.issue',
  'hospital.create',
  'staff.add',
  'patient.enrol',
  'directory.import',
  'record.create',
  'record.seal',
  'record.correct',
  'record.import',
  'attachment.add',
  'question.ask',
  'question.answer',
  'consent.change',
];
