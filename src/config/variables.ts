import { resolve } from 'node:path';

/** Thrown at start when a variable is wrong; names the variable and the rule, never the value. */
export class ConfigError extends Error {
  constructor(name: string, rule: string) {
    super(`${name}: ${rule}`);
    this.name = 'ConfigError';
  }
}

export type Env = Readonly<Record<string, string | undefined>>;

export function text(env: Env, name: string, fallback: string): string {
  const value = env[name] ?? fallback;
  if (value.trim() === '') throw new ConfigError(name, 'must not be empty');
  return value;
}

export function integer(env: Env, name: string, fallback: number, min: number, max: number): number {
  const value = env[name] ?? String(fallback);
  if (!/^\d{1,12}$/.test(value) || Number(value) < min || Number(value) > max)
    throw new ConfigError(name, `must be a whole number from ${min} to ${max}`);
  return Number(value);
}

export function flag(env: Env, name: string, fallback: boolean): boolean {
  const value = env[name] ?? String(fallback);
  if (value !== 'true' && value !== 'false') throw new ConfigError(name, 'must be true or false');
  return value === 'true';
}

/** A file that need not be there: null when the variable is not set. */
export function path(env: Env, name: string): string | null {
  const value = env[name] ?? '';
  return value === '' ? null : resolve(value);
}

/** Whether an address is of this machine. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}

export function oneOf<T extends string>(env: Env, name: string, fallback: T, allowed: readonly T[]): T {
  const value = env[name] ?? fallback;
  const found = allowed.find((item) => item === value);
  if (!found) throw new ConfigError(name, `must be one of ${allowed.join(', ')}`);
  return found;
}

/** Comma separated, without empty ones. */
export function list(env: Env, name: string, fallback = ''): string[] {
  return (env[name] ?? fallback)
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
