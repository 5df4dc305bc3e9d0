/**
 * The closed registry of encrypted fields. Each line gives a field its logical table and column, which are part of every envelope's AAD.
 * Add lines freely; never change or reuse the right side of one: data sealed under it would no longer open. Renaming a database table or
 * column needs no change here.
 */
export const fields = {
  'account.username': { table: 'account', column: 'username' },
  'account.name': { table: 'account', column: 'name' },
  'account.password': { table: 'account', column: 'password' },
  'account.signing_key': { table: 'account', column: 'signing_key' },
  /** Not sealed, only indexed: a code is shown once and not kept. */
  'recovery_code.hash': { table: 'recovery_code', column: 'hash' },
  'second_factor.secret': { table: 'second_factor', column: 'secret' },
  'patient.name': { table: 'patient', column: 'name' },
  'patient.birth_date': { table: 'patient', column: 'birth_date' },
  'patient.gender': { table: 'patient', column: 'gender' },
  'patient.national_id': { table: 'patient', column: 'national_id' },
  'patient.contact': { table: 'patient', column: 'contact' },
  'doctor.profile': { table: 'doctor', column: 'profile' },
  'record.content': { table: 'record', column: 'content' },
  'record.reason': { table: 'record', column: 'reason' },
  'content.record_key': { table: 'content', column: 'record_key' },
  'preparation.record_key': { table: 'preparation', column: 'record_key' },
  'attachment.name': { table: 'attachment', column: 'name' },
  'attachment.chunk': { table: 'attachment', column: 'chunk' },
  'question.text': { table: 'question', column: 'text' },
  'question.answer': { table: 'question', column: 'answer' },
  'departure.reason': { table: 'departure', column: 'reason' },
  'consent.contract': { table: 'consent', column: 'contract' },
  'idempotency.response': { table: 'idempotency', column: 'response' },
  'rate_count.client': { table: 'rate_count', column: 'client' },
  'directory.content': { table: 'directory', column: 'content' },
} as const satisfies Record<string, { table: string; column: string }>;

/** The name of an encrypted field. */
export type Field = keyof typeof fields;
