/**
 * The floor server: the work of a sealed write and of a read with trail, with neither framework nor ORM. What our server is divided by.
 *
 *   POST /patients/:id/diagnoses   token, JSON parse, validation by hand, seal (floor-store.mjs), 201 after the commit
 *   GET  /records/:id              token, row, decryption, trail row durable, 200
 *
 * Arguments: database file, folder of our compiled server. Tells its parent over IPC when it listens.
 */
import { createServer } from 'node:http';
import { tokens } from './es256.mjs';
import { openStore } from './floor-store.mjs';
import { settingsOf } from './probe-tools.mjs';

const [file, dist] = process.argv.slice(2);
const { issue, actorOf } = tokens();
const store = openStore(file, dist);
const BODY_LIMIT = 65_536;
const KEYS = new Set(['code', 'system', 'display', 'note', 'onset', 'severity']);
const DATE = /^\d{4}(-\d\d(-\d\d)?)?$/;
const isText = (value, max) => typeof value === 'string' && value.length >= 1 && value.length <= max;

/** The rules of our DiagnosisDto, by hand. */
function isDiagnosis(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const key of Object.keys(value)) if (!KEYS.has(key)) return false;
  const { code, system, display, note, onset, severity } = value;
  return (
    isText(code, 64) &&
    /^\S+(\s\S+)*$/.test(code) &&
    isText(display, 500) &&
    (system === undefined || isText(system, 200)) &&
    (note === undefined || isText(note, 20_000)) &&
    (onset === undefined || (typeof onset === 'string' && DATE.test(onset))) &&
    (severity === undefined || severity === 'mild' || severity === 'moderate' || severity === 'severe')
  );
}

function answer(response, status, body) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function write(request, response, patientId, actor) {
  const chunks = [];
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size <= BODY_LIMIT) chunks.push(chunk);
  });
  request.on('end', () => {
    if (size > BODY_LIMIT) return answer(response, 413, {});
    const payload = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    let value;
    try {
      value = JSON.parse(payload.toString('utf8'));
    } catch {
      return answer(response, 400, {});
    }
    if (!isDiagnosis(value)) return answer(response, 400, {});
    store.enqueue(
      () => store.seal(patientId, payload, actor.sub),
      (error, sealed) => (error ? answer(response, 500, {}) : answer(response, 201, sealed)),
    );
  });
}

function read(response, recordId, actor) {
  const record = store.open(recordId);
  if (!record) return answer(response, 404, {});
  const body = `{"id":"${recordId}","height":${record.height},"blockHash":"${record.blockHash.toString('hex')}","resource":${record.text}}`;
  store.enqueue(
    () => store.trail(recordId, actor.sub),
    (error) => (error ? answer(response, 500, {}) : answer(response, 200, body)),
  );
}

const server = createServer((request, response) => {
  const actor = actorOf(request.headers.authorization);
  if (!actor) return answer(response, 401, {});
  const [, area, id, what] = request.url.split('/');
  if (request.method === 'POST' && area === 'patients' && what === 'diagnoses') write(request, response, id, actor);
  else if (request.method === 'GET' && area === 'records') read(response, id, actor);
  else answer(response, 404, {});
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ url: `http://127.0.0.1:${server.address().port}`, token: issue(), settings: settingsOf(store.db) });
});
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
