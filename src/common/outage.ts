/** SQLSTATE classes: 08 connection, 53 resources (too many connections, disk full), 57P the server stops or starts. */
const CLASSES = /^(08|53|57P)...?$/;
/** query_canceled (a statement's time is up), lock_not_available, idle_in_transaction_session_timeout */
const LIMITS = ['57014', '55P03', '25P03'];
const SOCKETS = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ENOTFOUND'];
/** What the driver and TypeORM say without a code. */
const WORDS =
  /^(Connection terminated|timeout exceeded when trying to connect|Client (has encountered a connection error|was closed)|Query read timeout|Query runner already released|Driver not Connected)/;

/**
 * Whether the database is not there for a moment, or has no room or time: it will pass, and trying again is right. Nothing of what failed so is stored,
 * but where the connection broke during a commit: then nobody knows.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const [code, cause, errors] = ['code', 'driverError', 'errors'].map((name): unknown => Reflect.get(error, name));
  if (typeof code === 'string' && (CLASSES.test(code) || LIMITS.includes(code) || SOCKETS.includes(code))) return true;
  // A socket's folder without a socket; of a file the same code means something else.
  if (code === 'ENOENT' && Reflect.get(error, 'syscall') === 'connect') return true;
  if (Array.isArray(errors)) return errors.some(isOutage); // of each address that a name has
  return WORDS.test(error.message) || isOutage(cause);
}
