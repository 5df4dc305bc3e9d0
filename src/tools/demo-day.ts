import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ActivityResponse } from '../audit/audit.dto';
import type { DossierResponse } from '../doctor/doctor.dto';
import type { BundleFolder } from './bundle-files';
import type { Person, Stage } from './demo-stage';
import { type ImportSummary, importWithProgress, summaryLine } from './import-bundles';
import { count } from './progress-bar';

const today = (): string => new Date().toISOString().slice(0, 10);

/** Imports the folder as the hospital; gives the summary. */
export async function importing(stage: Stage, hospital: Person, folder: BundleFolder, from: string): Promise<ImportSummary> {
  stage.console.step(`The hospital imports ${folder.sources.length} FHIR R4 bundles (${from})`);
  stage.console.note('POST /api/v1/imports for each; all of a bundle is sealed, or nothing');
  for (const name of folder.skipped) stage.console.note(`${name} is no FHIR and is left out`);
  const summary = await importWithProgress(hospital.client, folder.sources, stage.console.output, '    ');
  stage.console.note(summaryLine(summary));
  const expected = summary.results.reduce((sum, result) => sum + result.expected, 0);
  stage.expect(
    'no file was refused',
    [],
    summary.refused.map((result) => result.fileName),
  );
  stage.expect(`every clinical resource is sealed: ${count(summary.sealed)} of ${count(expected)}`, expected, summary.sealed);
  return summary;
}

export async function dailyView(stage: Stage, founder: Person, patient: Person): Promise<void> {
  stage.console.step('The founder sees what was added today: counts, not content');
  const day = await stage.act<ActivityResponse>({
    who: founder,
    call: `GET /activity?date=${today()}`,
    status: 200,
    does: 'reads the day:',
    shows: ({ added }) => `${count(added)} things added`,
  });
  const byAction = new Map<string, number>();
  for (const item of day.body.counts) {
    const name = item.outcome === 'ok' ? item.action : `${item.action} (${item.outcome})`;
    byAction.set(name, (byAction.get(name) ?? 0) + item.count);
  }
  const lines = [...byAction].sort((a, b) => b[1] - a[1]).map(([action, times]) => `${action} ${count(times)}`);
  for (let i = 0; i < lines.length; i += 5) stage.console.note(lines.slice(i, i + 5).join(' · '));
  await stage.act({ who: founder, call: `GET /patients/${patient.id}/records`, status: [403, 404], does: 'sees no content, though' });
}

export async function prints(stage: Stage, hospital: Person, patient: Person, doctor: Person): Promise<void> {
  stage.console.step('The hospital prints a patient and a doctor');
  for (const [path, name] of [
    [`/patients/${patient.id}/print`, 'patient.pdf'],
    [`/doctors/${doctor.id}/print`, 'doctor.pdf'],
  ] as const) {
    const target = join(stage.config.dataDir, name);
    const answer = await stage.act({
      who: hospital,
      call: `GET ${path}`,
      status: 200,
      does: `prints ${name}:`,
      shows: (_body, { bytes }) => `${count(bytes.length)} bytes, ${target}`,
    });
    writeFileSync(target, answer.bytes, { mode: 0o600 });
    stage.expect(`${name} is a PDF`, '%PDF-', answer.bytes.subarray(0, 5).toString('latin1'));
  }
}

export async function departure(stage: Stage, hospital: Person, doctor: Person, successor: Person, patient: Person): Promise<void> {
  stage.console.step('A health worker leaves: the login ends at once, the history stays');
  await stage.act({
    who: doctor,
    call: `POST /patients/${patient.id}/diagnoses`,
    status: 201,
    does: 'still has a draft open',
    request: { json: { code: 'I10', display: 'Essential (primary) hypertension' } },
  });
  await stage.act({
    who: hospital,
    call: `POST /hospitals/me/staff/${doctor.id}/departure`,
    status: 200,
    does: `records that ${doctor.name} leaves; ${successor.name} takes over`,
    request: { json: { lastDay: today(), reason: 'Moved to another city', handOverTo: successor.id } },
  });
  await stage.act({ who: doctor, call: 'GET /doctors/me/worklist', status: 401, does: 'the next request with the old token is refused' });
  const { username, password, tokens } = doctor;
  const refresh = { json: { refreshToken: tokens.refreshToken } };
  await stage.act({
    who: null,
    as: doctor.name,
    call: 'POST /auth/refresh',
    status: 401,
    does: 'nor does the refresh token give a new one',
    request: refresh,
  });
  await stage.act({
    who: null,
    as: doctor.name,
    call: 'POST /auth/login',
    status: 401,
    does: 'nor does the password',
    request: { json: { username, password } },
  });
  await stage.act<DossierResponse>({
    who: hospital,
    call: `GET /hospitals/me/staff/${doctor.id}/dossier`,
    status: 200,
    does: 'still sees the whole history:',
    shows: ({ counts, staff }) =>
      `${counts.map((item) => `${item.count} ${item.kind} ${item.status}`).join(', ')}; last day ${staff.lastDay ?? ''}`,
  });
  await stage.act<{ drafts: unknown[] }>({
    who: successor,
    call: 'GET /doctors/me/worklist',
    status: 200,
    does: 'has taken over',
    shows: ({ drafts }) => `${drafts.length} draft`,
  });
}
