/** A copy without these members. */
export function omit<T = unknown>(value: Readonly<Record<string, T>>, ...names: string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}
