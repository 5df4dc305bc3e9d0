import 'reflect-metadata';
import { ConfigError, readConfig } from './config/config';
import { CryptoError } from './crypto/crypto-error';
import { SetupService } from './auth/setup.service';
import { createApp, openFoundations } from './app';

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const config = readConfig();
  const app = await createApp(await openFoundations(config));
  await app.listen(config.port, config.host);
  const url = await app.getUrl();
  say(`BJWT-EHR listens on ${url}`);
  if (config.http.docs) say(`  API documents: ${url}/docs (switched off with NODE_ENV=production)`);
  say(`  Data: ${config.dataDir}   Keys: ${config.keysDir} (back both up, apart from each other)`);
  if (!config.production)
    say('  Not for production as it is: plain HTTP on this machine only; put TLS in front and set NODE_ENV=production.');
  const code = await app.get(SetupService).offerCode();
  if (code !== null) say(`  Set-up code for the founder (valid for 24 hours from its first print, printed only here): ${code}`);
}

main().catch((error: unknown) => {
  const inUse = error instanceof Error && Reflect.get(error, 'code') === 'EADDRINUSE';
  if (inUse) process.stderr.write('BJWT-EHR did not start: the port is in use; choose another, for example PORT=3001 npm start\n');
  const known = error instanceof ConfigError || error instanceof CryptoError;
  if (!inUse)
    process.stderr.write(
      `BJWT-EHR did not start: ${known ? error.message : error instanceof Error ? (error.stack ?? error.name) : 'unknown error'}\n`,
    );
  process.exitCode = 1;
});
