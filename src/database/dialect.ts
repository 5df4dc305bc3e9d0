import type { EntityManager } from 'typeorm';

type Dialect = 'sqlite' | 'postgres';

export function dialectOf({ dataSource }: Pick<EntityManager, 'dataSource'>): Dialect {
  return dataSource.options.type === 'postgres' ? 'postgres' : 'sqlite';
}

/** Rows of a statement with a question mark for each value, and no other: PostgreSQL wants its places numbered. */
export function queryRows<T>(manager: EntityManager, text: string, values: readonly unknown[]): Promise<T[]> {
  if (dialectOf(manager) === 'sqlite') return manager.query<T[]>(text, [...values]);
  let place = 0;
  return manager.query<T[]>(
    text.replace(/\?/g, () => `$${++place}`),
    [...values],
  );
}
