import type { BundleFolder } from './bundle-files';
import { foundation, lockout, registration } from './demo-accounts';
import { diagnosis, enrolment, ownView, question } from './demo-chart';
import { dailyView, departure, importing, prints } from './demo-day';
import { addDoctor, sharing } from './demo-sharing';
import type { Person, Stage } from './demo-stage';
import type { DemoServer } from './demo-server';
import { tampering } from './demo-tampering';
import { witnessing } from './demo-witness';

/** Who can sign in after the story. */
export interface DemoLogin {
  readonly role: string;
  readonly who: Person;
}

/** The whole story, in order. `people` is filled as they appear, so that it holds who there is even when the story breaks off. */
export async function tellStory(stage: Stage, server: DemoServer, folder: BundleFolder, from: string, people: DemoLogin[]): Promise<void> {
  const { founder, hospital, otherHospital } = await foundation(stage);
  people.push({ role: 'Founder', who: founder }, { role: 'Hospital', who: hospital }, { role: 'Hospital', who: otherHospital });
  const { doctor: registered, walkIn } = await registration(stage, hospital);
  const doctor = await lockout(stage, hospital, registered);
  const patient = await enrolment(stage, hospital, doctor);
  people.push({ role: 'Patient', who: patient }, { role: 'Patient', who: walkIn });
  const recordId = await diagnosis(stage, doctor, patient);
  await question(stage, doctor, patient);
  await ownView(stage, patient, walkIn, recordId);
  const outsider = await sharing(stage, patient, otherHospital, recordId);
  people.push({ role: 'Doctor', who: outsider });
  const { results } = await importing(stage, hospital, folder, from);
  await dailyView(stage, founder, patient);
  await prints(stage, hospital, patient, doctor);
  const successor = await colleague(stage, hospital);
  people.push({ role: 'Doctor', who: successor });
  await departure(stage, hospital, doctor, successor, patient);
  const imported = results.find((result) => result.patientId !== null);
  await tampering(stage, successor, imported?.patientId ?? patient.id);
  await witnessing(stage, server, successor, patient.id);
}

function colleague(stage: Stage, hospital: Person): Promise<Person> {
  stage.console.step('The hospital adds a doctor itself, with a one-time code');
  const profile = { name: 'Dr. Bo Li', specialty: 'Cardiology', username: 'dr.bo', password: 'yellow bicycle on the moon' };
  return addDoctor(stage, hospital, profile);
}
