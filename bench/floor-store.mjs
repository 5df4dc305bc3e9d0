/**
 * What the floor does in its database: prepared statements, one queue with group commit. The pragmas are our server's own (taken from its compiled options,
 * so they cannot drift apart): WAL, synchronous=FULL, secure_delete=ON.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, generateKeyPairSync, hash, randomBytes, sign } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const MAX_BATCH = 64;
const ZERO = Buffer.alloc(32);
const SCHEMA = `
CREATE TABLE chain (patientId TEXT PRIMARY KEY, chainId BLOB NOT NULL, height INTEGER NOT NULL, headHash BLOB NOT NULL);
CREATE TABLE content (recordId TEXT PRIMARY KEY, ciphertext BLOB NOT NULL);
CREATE TABLE block (chainId BLOB NOT NULL, height INTEGER NOT NULL, blockHash BLOB NOT NULL, header BLOB NOT NULL, recordId TEXT NOT NULL,
  attestation TEXT NOT NULL, PRIMARY KEY (chainId, height));
CREATE INDEX block_record ON block (recordId);
CREATE TABLE pending (id INTEGER PRIMARY KEY, blockHash BLOB NOT NULL);
CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, actorId TEXT NOT NULL, patientId TEXT NOT NULL,
  subjectId TEXT NOT NULL, requestId TEXT NOT NULL);
CREATE INDEX audit_patient ON audit (patientId, id);`;

let sequence = 0;
/** UUIDv7: rows go to the end of their index, as ours do. */
function newId() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt16BE(0x7000 | (sequence = (sequence + 1) & 0xfff), 6);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * @param {string} file
 * @param {string} dist folder of our compiled server, for the driver and the pragmas
 */
export function openStore(file, dist) {
  const require = createRequire(pathToFileURL(`${dist}/src/main.js`));
  const { sqliteDriver, sqliteOptions } = require(`${dist}/src/database/sqlite-options.js`);
  const db = new (sqliteDriver())(file);
  db.pragma('journal_mode = WAL');
  sqliteOptions(file, { entities: [], migrations: [] }, false).prepareDatabase(db);
  if (db.prepare(`SELECT count(*) AS n FROM sqlite_master`).get().n === 0) db.exec(SCHEMA);
  const sql = prepare(db);
  const contentKey = createSecretKey(randomBytes(32));
  const commitKey = createSecretKey(randomBytes(32));
  const author = generateKeyPairSync('ed25519').privateKey;
  const authorKeyId = randomBytes(32);
  const ledgerId = randomBytes(32);

  /** Everything that one sealed write does, inside the transaction. */
  function seal(patientId, payload, actorId) {
    const now = Date.now();
    let head = sql.head.get(patientId);
    if (!head) {
      head = { chainId: randomBytes(16), height: -1, headHash: ZERO };
      sql.newChain.run(patientId, head.chainId, -1, ZERO);
    }
    const recordId = newId();
    const height = head.height + 1;
    const commit = createHmac('sha256', commitKey).update(payload).digest();
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', contentKey, nonce);
    cipher.setAAD(Buffer.from(recordId, 'ascii'));
    const ciphertext = Buffer.concat([nonce, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
    const attestation = attest(author, { head, recordId, now, commit });
    const header = Buffer.alloc(274);
    header.write('bjwt-ehr/blk/v1\n', 0, 'ascii');
    header[16] = 2;
    header.set(ledgerId, 18);
    header.set(head.chainId, 50);
    header.writeUIntBE(height, 68, 6);
    header.writeUIntBE(now, 76, 6);
    header.set(head.headHash, 82);
    header.set(commit, 114);
    header.set(hash('sha256', ciphertext, 'buffer'), 146);
    header.set(hash('sha256', attestation, 'buffer'), 178);
    header.set(authorKeyId, 210);
    const blockHash = hash('sha256', header, 'buffer');
    sql.content.run(recordId, ciphertext);
    sql.block.run(head.chainId, height, blockHash, header, recordId, attestation);
    sql.pending.run(blockHash);
    sql.audit.run(now, 'record.seal', 'ok', actorId, patientId, recordId, newId());
    sql.move.run(height, blockHash, patientId);
    return { recordId, chainId: head.chainId.toString('base64url'), height, blockHash: blockHash.toString('hex'), sealedAt: now };
  }

  /** The decrypted text of a record, or undefined. */
  function open(recordId) {
    const row = sql.open.get(recordId);
    if (!row) return undefined;
    const { ciphertext } = row;
    const decipher = createDecipheriv('aes-256-gcm', contentKey, ciphertext.subarray(0, 12));
    decipher.setAAD(Buffer.from(recordId, 'ascii'));
    decipher.setAuthTag(ciphertext.subarray(-16));
    return { ...row, text: Buffer.concat([decipher.update(ciphertext.subarray(12, -16)), decipher.final()]).toString() };
  }

  const trail = (recordId, actorId) => sql.audit.run(Date.now(), 'record.read', 'ok', actorId, '', recordId, newId());
  return { db, seal, open, trail, enqueue: groupCommit(sql) };
}

function prepare(db) {
  const statements = {
    begin: 'BEGIN IMMEDIATE',
    commit: 'COMMIT',
    rollback: 'ROLLBACK',
    head: 'SELECT chainId, height, headHash FROM chain WHERE patientId = ?',
    newChain: 'INSERT INTO chain VALUES (?, ?, ?, ?)',
    content: 'INSERT INTO content VALUES (?, ?)',
    block: 'INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)',
    pending: 'INSERT INTO pending (blockHash) VALUES (?)',
    audit: 'INSERT INTO audit (at, action, outcome, actorId, patientId, subjectId, requestId) VALUES (?, ?, ?, ?, ?, ?, ?)',
    move: 'UPDATE chain SET height = ?, headHash = ? WHERE patientId = ?',
    open: 'SELECT c.ciphertext, b.height, b.blockHash FROM content c JOIN block b ON b.recordId = c.recordId WHERE c.recordId = ?',
  };
  return Object.fromEntries(Object.entries(statements).map(([name, text]) => [name, db.prepare(text)]));
}

/** Compact JWS over what the author saw and seals. */
function attest(privateKey, { head, recordId, now, commit }) {
  const seen = { h: head.height, b: head.headHash.toString('base64url') };
  const claims = { iss: 'floor', sub: head.chainId.toString('base64url'), jti: recordId, ver: 1, knd: 2, iat: Math.floor(now / 1000) };
  const body = Buffer.from(JSON.stringify({ ...claims, cmt: commit.toString('base64url'), seen })).toString('base64url');
  const input = `eyJhbGciOiJFZERTQSIsInR5cCI6ImJqd3QtYmxvY2srand0In0.${body}`;
  return `${input}.${sign(null, Buffer.from(input, 'ascii'), privateKey).toString('base64url')}`;
}

/** One queue: what waits is run in one transaction; callers are answered only after its commit. No timer: the next batch starts when the writer is free. */
function groupCommit(sql) {
  /** @type {{ work: () => unknown, done: (error: Error | null, value?: unknown) => void }[]} */
  let waiting = [];
  let scheduled = false;
  const drain = () => {
    const batch = waiting.splice(0, MAX_BATCH);
    try {
      sql.begin.run();
      const values = batch.map(({ work }) => work());
      sql.commit.run();
      batch.forEach(({ done }, index) => done(null, values[index]));
    } catch (error) {
      sql.rollback.run();
      for (const { done } of batch) done(error);
    }
    scheduled = waiting.length > 0;
    if (scheduled) setImmediate(drain);
  };
  return (work, done) => {
    waiting.push({ work, done });
    if (scheduled) return;
    scheduled = true;
    setImmediate(drain);
  };
}
