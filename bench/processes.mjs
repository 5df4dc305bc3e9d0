/** Starting, asking, measuring and ending the processes of a run. Whatever is started here is ended by `endAll`, also when the run fails. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';

const GRACE_MS = 15_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
/** @type {Set<string>} */
const folders = new Set();

/** A folder that is removed at the end. */
export function scratch(path) {
  folders.add(path);
  return path;
}

/**
 * Starts a Node program as a process of its own, with an IPC channel. What it prints is kept, for set-up codes and for telling why it died.
 * @param {string} file
 * @param {{ args?: string[], execArgv?: string[], env?: Record<string, string>, cwd?: string }} options
 */
export function start(file, { args = [], execArgv = [], env = process.env, cwd } = {}) {
  const startedAt = performance.now();
  const child = fork(file, args, { execArgv, env, cwd, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  running.add(child);
  const program = { child, pid: child.pid, startedAt, output: '', number: 0 };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (program.output += chunk));
  child.on('exit', () => running.delete(child));
  return program;
}

/** Resolves with the first message that `accept` takes; fails when the program ends before. */
export function message(program, accept) {
  const { child } = program;
  return new Promise((resolve, reject) => {
    const clear = () => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onMessage = (value) => {
      if (!accept(value)) return;
      clear();
      resolve(value);
    };
    const onExit = (code, signal) => {
      clear();
      reject(new Error(`process ended (${code ?? signal}):\n${program.output.slice(-3000)}`));
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}

/** Asks the probe inside our server. */
export async function ask(program, question, more = {}) {
  const number = ++program.number;
  const answer = message(program, (value) => value.answerTo === number);
  program.child.send({ ask: question, number, ...more });
  return (await answer).value;
}

/** Resolves with the match once the program has printed it. */
export function printed(program, pattern) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const match = pattern.exec(program.output);
      if (match) resolve(match);
      return match;
    };
    if (look()) return;
    program.child.stdout.on('data', look);
    program.child.on('exit', (code) => reject(new Error(`process ended (${code}):\n${program.output.slice(-3000)}`)));
  });
}

/** Ends a program and waits for it; kills it when it does not follow. */
export async function end(program) {
  const { child } = program;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(timer);
}

/** Ends everything and removes the scratch folders. Synchronous, so that it also works on the way out of a failed run. */
export function endAll() {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  folders.clear();
}

/**
 * CPU time of a process so far, ms, all its threads that still run; null where there is no /proc. From the scheduler's own count, in ns: phases are short,
 * and /proc/<pid>/stat counts steps of 10 ms.
 */
export function cpuMs(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + Number(schedule(pid, task).split(' ')[0]) / 1e6, 0);
  } catch {
    return null;
  }
}

/** A thread may end while we look. */
function schedule(pid, task) {
  try {
    return readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' && existsSync(`/proc/${pid}/schedstat`)) return '0';
    throw error;
  }
}

/** Resident memory of a process in MB (10^6 bytes); null where there is no /proc. */
export function rssMb(pid) {
  try {
    return (Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024) / 1e6;
  } catch {
    return null;
  }
}

/** Runs `work` and says the highest resident memory meanwhile, MB, looked at every 10 ms. */
export async function peakRss(pid, work) {
  let peak = rssMb(pid) ?? 0;
  const timer = setInterval(() => (peak = Math.max(peak, rssMb(pid) ?? 0)), 10);
  try {
    return { value: await work(), peak };
  } finally {
    clearInterval(timer);
  }
}
