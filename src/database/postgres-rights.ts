import type { EntityManager } from 'typeorm';

interface TableRights {
  readonly table: string;
  /** Refused to everybody by a trigger, whatever the row. */
  readonly noUpdate: boolean;
  readonly noDelete: boolean;
}

/**
 * Tables, and what their triggers refuse without a condition: such a trigger's function does nothing but raise. `tgtype` (pg_trigger.h): 2 before the
 * act, 8 delete, 16 update. The list of migrations belongs to the owner.
 */
const TABLES = `
  SELECT c.relname AS "table", COALESCE(BOOL_OR(t.tgtype & 16 > 0), false) AS "noUpdate", COALESCE(BOOL_OR(t.tgtype & 8 > 0), false) AS "noDelete"
  FROM pg_class c
  LEFT JOIN (pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.prosrc ~ '^\\s*BEGIN\\s+RAISE EXCEPTION')
    ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 2 > 0
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> 'migrations'
  GROUP BY c.relname`;

/**
 * Gives a role what a server does with the tables, and takes away whatever else it had: it reads and adds rows everywhere, and changes or deletes them
 * where no trigger always refuses it (SEC-97). It owns nothing, so it can take no trigger away. Other roles lose what everybody has by default. To be
 * called by the owner, of the database too.
 */
export async function grantRights(tx: EntityManager, role: string): Promise<void> {
  const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const [place] = await tx.query<{ schema: string; database: string; version: number }[]>(
    `SELECT current_schema() AS schema, current_database() AS database, current_setting('server_version_num')::int AS version`,
  );
  if (!place) throw new Error('no schema');
  const [schema, database, to] = [`SCHEMA ${name(place.schema)}`, `DATABASE ${name(place.database)}`, name(role)];
  // To VACUUM after an erasure. Before PostgreSQL 17 only the owner may.
  const maintain = place.version >= 170_000 ? ['MAINTAIN'] : [];
  // Who may connect can notify servers and take their locks; who may create in the schema can put functions in the way of triggers.
  await tx.query(`REVOKE CONNECT, TEMPORARY ON ${database} FROM PUBLIC`);
  await tx.query(`GRANT CONNECT ON ${database} TO ${to}`);
  await tx.query(`REVOKE CREATE ON ${schema} FROM PUBLIC`);
  await tx.query(`REVOKE ALL ON ALL TABLES IN ${schema} FROM ${to}`);
  await tx.query(`REVOKE ALL ON ${schema} FROM ${to}`);
  await tx.query(`GRANT USAGE ON ${schema} TO ${to}`);
  await tx.query(`GRANT USAGE ON ALL SEQUENCES IN ${schema} TO ${to}`);
  await tx.query(`GRANT SELECT ON "migrations" TO ${to}`);
  for (const { table, noUpdate, noDelete } of await tx.query<TableRights[]>(TABLES)) {
    const rights = ['SELECT', 'INSERT', ...(noUpdate ? [] : ['UPDATE']), ...(noDelete ? [] : ['DELETE']), ...maintain];
    await tx.query(`GRANT ${rights.join(', ')} ON ${name(table)} TO ${to}`);
  }
}

/** Whether the role that asks could take triggers away: it owns a table, itself or through another role, or is a superuser. */
export async function ownsTables(manager: EntityManager): Promise<boolean> {
  const [row] = await manager.query<{ owns: boolean | null }[]>(
    `SELECT BOOL_OR(pg_has_role(relowner, 'MEMBER')) AS owns FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`,
  );
  return row?.owns === true;
}
