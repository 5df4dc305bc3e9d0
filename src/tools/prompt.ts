import { createInterface } from 'node:readline/promises';

/** Asks on the terminal. @throws Error when there is none */
export async function ask(question: string): Promise<string> {
  assertTerminal();
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } finally {
    lines.close();
  }
}

/** Asks without showing what is typed. @throws Error when there is no terminal, or after Ctrl-C */
export function askSecretly(question: string): Promise<string> {
  assertTerminal();
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (settle: () => void): void => {
      stdin.off('data', onData).setRawMode(false).pause();
      stderr.write('\n');
      settle();
    };
    const onData = (chunk: string): void => {
      for (const key of chunk) {
        if (key === '\r' || key === '\n') return finish(() => resolve(typed.join('')));
        if (key === '\u0003' || key === '\u0004') return finish(() => reject(new Error('Given up')));
        if (key === '\u007f' || key === '\b') typed = typed.slice(0, -1);
        else if (key >= ' ') typed.push(key);
      }
    };
    stdin.on('data', onData);
  });
}

function assertTerminal(): void {
  if (!process.stdin.isTTY) throw new Error('There is no terminal to ask on: give --username and the variable EHR_PASSWORD');
}
