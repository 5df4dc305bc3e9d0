/**
 * Who may call what: every route of openapi.json, by caller, with the status that the caller gets for a valid request (SEC-46, SEC-47).
 *
 * The chart in question belongs to a patient of hospital A; its entries were written by a doctor of hospital A. A dot means the same as in the
 * column before. 403: the role never does this. 404: not the caller's to see; the answer is the one for an id that does not exist (SEC-48).
 */
export const CALLERS = [
  'nobody', // no token
  'ADMIN', // the founder
  'AUDITOR',
  'HOSPITAL', // hospital A
  'other HOSPITAL', // hospital B
  'author', // the doctor of hospital A who wrote the record
  'colleague', // another doctor of hospital A
  'DOCTOR elsewhere', // a doctor of hospital B
  'PATIENT', // whose chart it is
  'another PATIENT', // also of hospital A
] as const;
export type Caller = (typeof CALLERS)[number];

export interface RoleRow {
  /** As openapi.json names it: `GET /api/v1/records/{id}`. */
  readonly route: string;
  /** What the request is about where that makes a difference: `draft`, `sealed`, or who owns the thing. */
  readonly about: string;
  readonly expected: Readonly<Record<Caller, number>>;
  /** Why callers without a token are let in; empty for closed routes. */
  readonly open: string;
}

const TABLE = `
                                                       |                 | nobody ADMIN AUDIT HOSP  HOSP2 auth. coll. elsew PAT.  PAT.2 | open, because
POST   /api/v1/setup                                   | used up         | 409    .     .     .     .     .     .     .     .     .     | the set-up code is the key; there is no account yet
POST   /api/v1/auth/register/doctor                    |                 | 202    .     .     .     .     .     .     .     .     .     | people register themselves (R1) and wait for approval
POST   /api/v1/auth/register/patient                   |                 | 202    .     .     .     .     .     .     .     .     .     | people register themselves (R1) and wait for approval
POST   /api/v1/auth/login                              |                 | 200    .     .     .     .     .     .     .     .     .     | user name and password are the key
POST   /api/v1/auth/login/second-factor                |                 | 200    .     .     .     .     .     .     .     .     .     | the MFA token and the second factor are the key
POST   /api/v1/auth/activate                           |                 | 200    .     .     .     .     .     .     .     .     .     | the one-time code is the key
POST   /api/v1/auth/refresh                            |                 | 200    .     .     .     .     .     .     .     .     .     | the refresh token is the key
GET    /.well-known/jwks.json                          |                 | 200    .     .     .     .     .     .     .     .     .     | public keys
GET    /api/v1/hospitals                               |                 | 200    .     .     .     .     .     .     .     .     .     | who registers chooses a hospital
GET    /health/live                                    |                 | 200    .     .     .     .     .     .     .     .     .     | says only that it runs
GET    /health/ready                                   |                 | 200    .     .     .     .     .     .     .     .     .     | says only that it can serve
GET    /metrics                                        |                 | 200    .     .     .     .     .     .     .     .     .     | counts by route, no ids
GET    /api/v1/ledger/logs                             |                 | 200    .     .     .     .     .     .     .     .     .     | who verifies us needs no permission: hashes and keys only
GET    /api/v1/ledger/checkpoint                       | two hospitals   | 404    .     .     .     .     .     .     .     .     .     | as above
GET    /api/v1/ledger/tile/{path}                      | two hospitals   | 404    .     .     .     .     .     .     .     .     .     | as above
GET    /api/v1/ledger/logs/{hospitalId}/checkpoint     | of HOSP         | 200    .     .     .     .     .     .     .     .     .     | as above
GET    /api/v1/ledger/logs/{hospitalId}/consistency    | of HOSP         | 200    .     .     .     .     .     .     .     .     .     | as above
GET    /api/v1/ledger/logs/{hospitalId}/policy         | of HOSP         | 200    .     .     .     .     .     .     .     .     .     | as above
GET    /api/v1/ledger/logs/{hospitalId}/tile/{path}    | of HOSP         | 200    .     .     .     .     .     .     .     .     .     | as above
POST   /witness/add-checkpoint                         | a stranger's    | 404    .     .     .     .     .     .     .     .     .     | the log's own signature is the key (C2SP tlog-witness)
GET    /witness/{originHash}/checkpoint                | a stranger's    | 404    .     .     .     .     .     .     .     .     .     | who verifies us needs no permission: hashes and keys only

POST   /api/v1/auth/logout                             | own             | 401    204   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/password                           | own             | 401    204   .     .     .     .     .     .     .     .     |
GET    /api/v1/auth/me                                 | own             | 401    200   .     .     .     .     .     .     .     .     |
GET    /api/v1/auth/sessions                           | own             | 401    200   .     .     .     .     .     .     .     .     |
GET    /api/v1/auth/devices                            | own             | 401    200   .     .     .     .     .     .     .     .     |
DELETE /api/v1/auth/devices/{id}                       | of the author   | 401    404   .     .     .     204   404   .     .     .     |
POST   /api/v1/auth/step-up                            | own             | 401    200   .     .     .     .     .     .     .     .     |
DELETE /api/v1/auth/sessions                           | own             | 401    204   .     .     .     .     .     .     .     .     |
DELETE /api/v1/auth/sessions/{id}                      | of the author   | 401    404   .     .     .     204   404   .     .     .     |

GET    /api/v1/auth/factors                            | own             | 401    200   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/factors/totp                       | own             | 401    201   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/factors/totp/confirmation          | own             | 401    200   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/factors/webauthn/options           | own             | 401    200   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/factors/webauthn                   | own             | 401    201   .     .     .     .     .     .     .     .     |
POST   /api/v1/auth/factors/recovery-codes             | own             | 401    201   .     .     .     .     .     .     .     .     |
DELETE /api/v1/auth/factors/{id}                       | of the author   | 401    404   .     .     .     204   404   .     .     .     |

GET    /api/v1/accounts                                |                 | 401    200   403   200   200   403   .     .     .     .     |
POST   /api/v1/accounts                                |                 | 401    201   403   .     .     .     .     .     .     .     |
POST   /api/v1/accounts/{id}/approve                   | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/reject                    | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/lock                      | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/unlock                    | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/close                     | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/code                      | doctor of HOSP  | 401    201   403   201   404   403   .     .     .     .     |
GET    /api/v1/accounts/{id}/sessions                  | doctor of HOSP  | 401    200   403   200   404   403   .     .     .     .     |
DELETE /api/v1/accounts/{id}/sessions                  | doctor of HOSP  | 401    204   403   204   404   403   .     .     .     .     |
POST   /api/v1/accounts/{id}/lock                      | HOSP2's login   | 401    200   403   404   .     403   .     .     .     .     |

POST   /api/v1/hospitals                               |                 | 401    201   403   .     .     .     .     .     .     .     |
GET    /api/v1/hospitals/{id}                          | HOSP            | 401    200   .     .     .     .     .     .     .     .     |
GET    /api/v1/hospitals/{id}/staff                    | of HOSP         | 401    403   .     200   404   403   .     .     .     .     |
POST   /api/v1/hospitals/{id}/staff                    | of HOSP         | 401    403   .     201   404   403   .     .     .     .     |
POST   /api/v1/hospitals/{id}/staff/{doctorId}/departure | of HOSP       | 401    403   .     200   404   403   .     .     .     .     |
GET    /api/v1/hospitals/{id}/staff/{doctorId}/dossier | the author      | 401    403   .     200   404   403   .     .     .     .     |
GET    /api/v1/hospitals/{id}/entries                  | of HOSP         | 401    403   .     200   404   403   .     .     .     .     |
GET    /api/v1/doctors/{id}                            | the author      | 401    403   .     200   404   200   404   .     403   .     |
GET    /api/v1/doctors/{id}/print                      | the author      | 401    403   .     200   404   200   404   .     403   .     |
GET    /api/v1/doctors/me/worklist                     | own             | 401    403   .     .     .     200   .     .     403   .     |

POST   /api/v1/patients                                |                 | 401    403   .     201   .     .     .     .     403   .     |
GET    /api/v1/patients                                |                 | 401    200   403   200   .     .     .     .     403   .     |
GET    /api/v1/patients/{id}                           |                 | 401    200   403   200   404   200   .     404   200   404   |
PATCH  /api/v1/patients/{id}                           |                 | 401    403   .     200   404   200   .     404   403   .     |
POST   /api/v1/patients/{id}/account                   | without account | 401    403   .     201   404   403   .     .     .     .     |
GET    /api/v1/patients/{id}/print                     |                 | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/patients/me/access-log                  | own             | 401    403   .     .     .     .     .     .     200   .     |
GET    /api/v1/patients/me/consent                     | own             | 401    403   .     .     .     .     .     .     200   .     |
POST   /api/v1/patients/me/consent/grants              | own             | 401    403   .     .     .     .     .     .     201   .     |
DELETE /api/v1/patients/me/consent/grants/{ruleId}     | of PAT.         | 401    403   .     .     .     .     .     .     200   404   |
POST   /api/v1/imports                                 |                 | 401    403   .     201   .     .     .     .     403   .     |

POST   /api/v1/patients/{id}/diagnoses                 |                 | 401    403   .     .     .     201   .     404   403   .     |
POST   /api/v1/patients/{id}/records                   |                 | 401    403   .     .     .     201   .     404   403   .     |
GET    /api/v1/patients/{id}/records                   |                 | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/records/{id}                            | draft           | 401    403   .     200   404   200   404   .     .     .     |
GET    /api/v1/records/{id}                            | sealed          | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/records/{id}/content                    | draft           | 401    403   .     200   404   200   404   .     .     .     |
GET    /api/v1/records/{id}/content                    | sealed          | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/records/{id}/receipt                    | draft           | 401    403   .     409   404   409   404   .     .     .     |
GET    /api/v1/records/{id}/receipt                    | sealed          | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/records/{id}/bundle                     | draft           | 401    403   .     409   404   409   404   .     .     .     |
GET    /api/v1/records/{id}/bundle                     | sealed          | 401    403   .     200   404   200   .     404   200   404   |
PUT    /api/v1/records/{id}                            | draft           | 401    403   .     .     .     200   404   .     403   .     |
PUT    /api/v1/records/{id}                            | sealed          | 401    403   .     .     .     409   .     404   403   .     |
DELETE /api/v1/records/{id}                            | draft           | 401    403   .     204   404   204   404   .     403   .     |
DELETE /api/v1/records/{id}                            | sealed          | 401    403   .     409   404   409   .     404   403   .     |
POST   /api/v1/records/{id}/attestation                | draft           | 401    403   .     .     .     201   404   .     403   .     |
POST   /api/v1/records/{id}/attestation                | sealed          | 401    403   .     .     .     409   .     404   403   .     |
POST   /api/v1/records/{id}/seal                       | draft           | 401    403   .     .     .     201   404   .     403   .     |
POST   /api/v1/records/{id}/seal                       | sealed          | 401    403   .     .     .     201   409   404   403   .     |
POST   /api/v1/records/{id}/corrections/attestation    | sealed          | 401    403   .     .     .     201   .     404   403   .     |
POST   /api/v1/records/{id}/corrections                | draft           | 401    403   .     .     .     409   404   .     403   .     |
POST   /api/v1/records/{id}/corrections                | sealed          | 401    403   .     .     .     201   .     404   403   .     |
POST   /api/v1/records/{id}/attachments                | draft           | 401    403   .     .     .     201   404   .     403   .     |
POST   /api/v1/records/{id}/attachments                | sealed          | 401    403   .     .     .     409   .     404   403   .     |
GET    /api/v1/records/{id}/attachments                | draft           | 401    403   .     200   404   200   404   .     .     .     |
GET    /api/v1/records/{id}/attachments                | sealed          | 401    403   .     200   404   200   .     404   200   404   |
GET    /api/v1/records/{id}/attachments/{attachmentId} | draft           | 401    403   .     200   404   200   404   .     .     .     |
GET    /api/v1/records/{id}/attachments/{attachmentId} | sealed          | 401    403   .     200   404   200   .     404   200   404   |

POST   /api/v1/patients/{id}/questions                 |                 | 401    403   .     .     .     201   .     404   403   .     |
GET    /api/v1/patients/{id}/questions                 |                 | 401    403   .     200   404   200   .     404   200   404   |
POST   /api/v1/questions/{id}/answer                   | to PAT.         | 401    403   .     .     .     .     .     .     201   404   |

POST   /api/v1/patients/{id}/erasures                  | sealed          | 401    201   403   201   404   403   .     .     201   404   |
GET    /api/v1/patients/{id}/erasures                  |                 | 401    200   .     .     404   403   .     .     200   404   |
GET    /api/v1/erasures                                | own             | 401    200   403   200   .     403   .     .     .     .     |
POST   /api/v1/erasures/{id}/approval                  | asked by PAT.   | 401    200   403   200   404   403   .     .     .     .     |
POST   /api/v1/erasures/{id}/refusal                   | asked by PAT.   | 401    200   403   200   404   403   .     .     200   404   |
GET    /api/v1/erasures/{id}/certificate               | executed        | 401    200   .     .     404   403   .     .     200   404   |

GET    /api/v1/audit/events                            |                 | 401    200   .     .     .     403   .     .     .     .     |
GET    /api/v1/audit/events/{id}/proof                 | of PAT.         | 401    200   .     .     404   403   .     .     200   404   |
GET    /api/v1/activity                                |                 | 401    200   .     .     .     403   .     .     .     .     |
GET    /api/v1/ledger/status                           |                 | 401    200   .     .     .     403   .     .     .     .     |
GET    /api/v1/ledger/keys                             |                 | 401    200   .     .     .     403   .     .     .     .     |
POST   /api/v1/ledger/keys                             |                 | 401    403   .     .     .     201   .     .     403   .     |
POST   /api/v1/ledger/keys/{kid}/revocation            | of the author   | 401    201   403   201   404   201   404   .     .     .     |
GET    /api/v1/ledger/patients/{id}/chain              |                 | 401    200   .     .     404   200   .     404   200   404   |
GET    /api/v1/ledger/patients/{id}/export             |                 | 401    403   200   .     404   200   .     404   200   404   |
POST   /api/v1/ledger/patients/{id}/verify             |                 | 401    200   .     .     404   200   .     404   200   404   |
`;

function rowOf(line: string): RoleRow {
  const [route = '', about = '', cells = '', open = ''] = line.split('|').map((cell) => cell.trim());
  const statuses: number[] = [];
  for (const cell of cells.split(/\s+/)) statuses.push(cell === '.' ? (statuses.at(-1) ?? NaN) : Number(cell));
  if (statuses.length !== CALLERS.length || !statuses.every(Number.isInteger)) throw new Error(`role table: ${line}`);
  const expected = Object.fromEntries(CALLERS.map((caller, index) => [caller, statuses[index]])) as Record<Caller, number>;
  return { route: route.replace(/\s+/, ' '), about, expected, open };
}

/** The table, read. The first line is its head. */
export const ROLE_TABLE: readonly RoleRow[] = TABLE.split('\n')
  .filter((line) => line.trim() !== '')
  .slice(1)
  .map(rowOf);
