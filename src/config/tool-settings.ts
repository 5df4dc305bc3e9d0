/** What the command-line programs that talk to a running server take from the environment: a password given as an argument would show in the list of processes. */
export function readToolSettings(env: Readonly<Record<string, string | undefined>> = process.env) {
  return {
    /** `EHR_PASSWORD`; undefined means that it is asked for. */
    password: env['EHR_PASSWORD'],
    /** `EHR_CODE`, of a code app, or a recovery code; undefined means that it is asked for where it is needed. */
    code: env['EHR_CODE'],
  } as const;
}
