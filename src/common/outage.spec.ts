import { QueryFailedError } from 'typeorm';
import { isOutage } from './outage';

const withCode = (code: string, more: object = {}): Error => Object.assign(new Error('it failed'), { code, ...more });
const asked = (cause: Error): Error => new QueryFailedError('SELECT 1', [], cause);

test.each([
  ['refused', withCode('ECONNREFUSED')],
  ['refused at every address', Object.assign(new AggregateError([withCode('ECONNREFUSED')]), { code: 'ECONNREFUSED' })],
  ['no socket', withCode('ENOENT', { syscall: 'connect' })],
  ['stopped by its administrator, inside a statement', asked(withCode('57P01'))],
  ['starting', withCode('57P03')],
  ['too many connections', withCode('53300')],
  ['a statement out of time', asked(withCode('57014'))],
  ['a lock out of time', asked(withCode('55P03'))],
  ['broken in a statement', asked(new Error('Connection terminated unexpectedly'))],
  ['no room in the pool', new Error('timeout exceeded when trying to connect')],
])('%s is an outage', (_name, error) => {
  expect(isOutage(error)).toBe(true);
});

test.each([
  ['a missing file', withCode('ENOENT', { syscall: 'open' })],
  ['a broken rule of a table', asked(withCode('23505'))],
  ['a missing right', asked(withCode('42501'))],
  ['a fault of ours', new TypeError('undefined is not a function')],
  ['no error', 'ECONNREFUSED'],
])('%s is none', (_name, error) => {
  expect(isOutage(error)).toBe(false);
});
