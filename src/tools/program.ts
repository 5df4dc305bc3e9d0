/** A line for whoever runs the tool. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints how the tool is used. @returns the exit code: 0 when it was asked for, 2 when the command line is wrong */
export function tellUsage(usage: string, asked = false): 0 | 2 {
  process.stdout.write(usage);
  return asked ? 0 : 2;
}

/** A command line that cannot be carried out. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Runs a tool. Its exit code is what `main` gives; 2 when the command line is wrong (a {@link UsageError} or what `parseArgs` of node:util throws); `code`
 * when anything else fails.
 * @param words stand before the message of such a failure: what it left undone
 */
export function runProgram(main: () => number | Promise<number>, { words = '', code }: { words?: string; code: 1 | 2 }): void {
  Promise.resolve()
    .then(main)
    .then(
      (exitCode) => (process.exitCode = exitCode),
      (error: unknown) => {
        const isUsage = error instanceof UsageError || isFromParseArgs(error);
        process.stderr.write(`${isUsage ? '' : words}${error instanceof Error ? error.message : 'unknown error'}\n`);
        process.exitCode = isUsage ? 2 : code;
      },
    );
}

function isFromParseArgs(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}
