import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const WRONG = [['keys', '--url'], ['keys', '--url', 'nowhere'], ['keys', '--bogus'], ['nothing'], []];

test.each(WRONG.map((command) => [command]))(
  'npm run ledger -- %j is wrong usage: exit code 2, no lines for a policy',
  (command) => {
    const script = ['-r', './tools/swc-register.cjs', 'src/tools/ledger.ts', ...command];
    const { status, stdout } = spawnSync(process.execPath, script, { cwd: join(__dirname, '../..'), encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stdout).not.toContain('witness ledger.');
  },
  60_000,
);
