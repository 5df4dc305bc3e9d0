/** Calls with one argument, in which one pair of parentheses may stand. */
const call = (name: string) => new RegExp(`\\b${name}\\(((?:[^()]|\\([^()]*\\))*)\\)`, 'g');

const WORDS: readonly (readonly [sqlite: RegExp, postgres: string])[] = [
  [/\bmain\./g, ''],
  [/\bBEGIN IMMEDIATE\b/g, 'BEGIN'],
  [/\browid\b/g, 'ctid'],
  [/\bchar\(10\)/g, 'chr(10)'],
  [call('hex'), `upper(encode($1, 'hex'))`],
  [call('zeroblob'), `decode(repeat('00', $1), 'hex')`],
  [call('randomblob'), `substr(decode(repeat(md5(random()::text), $1 / 16 + 1), 'hex'), 1, $1)`],
  [/\b[a-z]+[A-Z]\w*\b/g, '"$&"'],
];

/** The SQL of the tests, written for SQLite, in PostgreSQL's words: names keep their case, bytes and places are spelled otherwise. */
export function inPostgres(sql: string): string {
  let place = 0;
  return parts(sql)
    .map((part, index, all) => {
      if (index % 2 === 1) return /x$/i.test(all[index - 1] ?? '') ? `'\\x${part.slice(1, -1)}'::bytea` : part;
      return WORDS.reduce((text, [from, to]) => text.replace(from, to), part.replace(/\bx$/i, ''));
    })
    .join('')
    .split(/('(?:[^']|'')*')/)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(/\?|@"?\w+"?/g, () => `$${(place += 1)}`)))
    .join('');
}

/** What stands between quotes is at the odd places. */
function parts(sql: string): string[] {
  return sql.split(/('(?:[^']|'')*'|"[^"]*")/);
}

const TRIGGER = /^CREATE TRIGGER "?(\w+)"? BEFORE (\w+) ON "?(\w+)"? (?:WHEN (.*?) )?BEGIN SELECT RAISE\(ABORT, ('[^']*')\); END$/s;

/** Several statements, with what a trigger is there. */
export function statementsInPostgres(sql: string): string[] {
  const [, name, act, table, when, says] = TRIGGER.exec(sql) ?? [];
  if (name !== undefined) {
    const refuse = `RAISE EXCEPTION ${says};`;
    const body = when === undefined ? refuse : `IF ${inPostgres(when)} THEN ${refuse} END IF; RETURN COALESCE(NEW, OLD);`;
    return [
      `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`,
      `CREATE TRIGGER ${name} BEFORE ${act} ON "${table}" FOR EACH ROW EXECUTE FUNCTION ${name}()`,
    ];
  }
  const marked = parts(sql).map((part, index) => (index % 2 === 1 ? part : part.replaceAll(';', '\0')));
  return marked
    .join('')
    .split('\0')
    .filter((statement) => statement.trim() !== '')
    .map((statement) => {
      const dropped = /^\s*DROP TRIGGER (?:IF EXISTS )?"?(\w+)"?\s*$/.exec(statement)?.[1];
      return dropped === undefined ? inPostgres(statement) : `DROP FUNCTION IF EXISTS "${dropped}"() CASCADE`;
    });
}
