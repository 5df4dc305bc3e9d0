import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp, openFoundations } from './app';
import { SetupService } from './auth/setup.service';
import { bannerOf, excuseOf, type Started } from './banner';
import { primary } from './common/ipc';
import { readConfig } from './config/config';
import { endServer, onEndSignal } from './shutdown';

/** One server process: alone, or as a worker of a cluster, whose primary speaks for all. */
async function main(): Promise<void> {
  const config = readConfig();
  let app: NestFastifyApplication | null = null;
  onEndSignal(() => (app ? endServer(app, config) : process.exit(0)));
  const made = await createApp(await openFoundations(config));
  await made.listen(config.port, config.host);
  app = made;
  const started: Started = { url: await made.getUrl(), setupCode: await made.get(SetupService).offerCode() };
  if (primary) primary.tell('started', started);
  else process.stdout.write(bannerOf(config, started));
}

main().catch((error: unknown) => {
  process.stderr.write(excuseOf(error));
  process.exit(1);
});
