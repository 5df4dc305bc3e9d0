/** Every error that a client can meet: code → HTTP status and title (RFC 9457). The list is closed; clients may switch on it. */
export const PROBLEMS = {
  invalid_request: [400, 'The request is not valid'],
  malformed_json: [400, 'The body is not well-formed JSON'],
  invalid_resource: [422, 'The FHIR resource is not valid'],
  invalid_bundle: [422, 'The FHIR bundle cannot be imported'],
  invalid_key: [422, 'The key, or the proof that it is held, is not acceptable'],
  invalid_attestation: [422, 'The attestation does not fit what is to be sealed'],
  unauthenticated: [401, 'A valid access token is needed'],
  insufficient_user_authentication: [401, 'This act needs a sign-in of the last five minutes; sign in again'],
  invalid_credentials: [401, 'User name or password is wrong, or the account cannot sign in'],
  invalid_refresh_token: [401, 'The refresh token is not valid'],
  invalid_second_factor: [401, 'The second factor is wrong or used up, or the sign-in took too long: begin again'],
  invalid_code: [401, 'The one-time code is not valid'],
  forbidden: [403, 'The role of this account may not do this'],
  second_factor_required: [403, 'This role needs a second factor: add one, then sign in again'],
  not_found: [404, 'There is no such thing, or it is not yours to see'],
  untrusted_signature: [403, 'The checkpoint is not signed by a key that is trusted for its log'],
  unknown_log: [404, 'This witness does not know the log'],
  method_not_allowed: [405, 'This method is not offered here'],
  not_acceptable: [406, 'No offered format fits'],
  request_timeout: [408, 'The request took too long to arrive'],
  conflict: [409, 'The state of the thing does not allow this'],
  already_exists: [409, 'It exists already'],
  log_halted: [503, 'The ledger of this hospital is halted; its operator must act'],
  record_sealed: [409, 'A sealed record is never changed; send a correction'],
  client_signature_required: [409, 'This account signs with a key of its own: ask for the attestation, sign it, and send it'],
  setup_done: [409, 'The system has its founder already'],
  erased: [410, 'It was erased lawfully; nothing of its content is left'],
  version_stale: [412, 'The draft was changed meanwhile'],
  body_too_large: [413, 'The body is too large'],
  uri_too_long: [414, 'The address is too long'],
  unsupported_media_type: [415, 'This content type is not accepted here'],
  password_unacceptable: [422, 'The password is not acceptable'],
  inconsistent_checkpoint: [422, 'The checkpoint is not consistent with the one that was cosigned last'],
  idempotency_key_reused: [422, 'This Idempotency-Key was used for another request'],
  version_required: [428, 'Send If-Match with the version of the draft'],
  too_many_requests: [429, 'Too many requests'],
  headers_too_large: [431, 'The headers are too large'],
  internal_error: [500, 'Something went wrong on the server'],
  integrity_error: [500, 'Stored data does not match its seal; it is not shown'],
  unavailable: [503, 'The server cannot do this now'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One element at fault: `path` as in `resource.code.coding[0].system` or `entry[3].resource`; `message` names the rule, never the value. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** The one exception that services throw; the one error filter turns it into `application/problem+json`. */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;

  constructor(
    readonly code: ProblemCode,
    /** A sentence for the caller, without personal data. */
    readonly detail: string = PROBLEMS[code][1],
    readonly extra: {
      readonly errors?: readonly FieldError[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly links?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(`${code}: ${detail}`);
    this.name = 'ApiError';
    [this.status, this.title] = PROBLEMS[code];
  }
}

/** Shorthand for one element at fault. */
export function invalid(path: string, message: string): ApiError {
  return new ApiError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] });
}

/** What does not exist and what is forbidden look the same. */
export function notFound(): ApiError {
  return new ApiError('not_found');
}
