import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { NestFactory } from '@nestjs/core';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../ormconfig';
import { AppModule, type Foundations } from './app.module';
import { tagRowsOnce } from './audit/first-tags';
import { newId } from './common/ids';
import { LOGS, type Logs, NestLog } from './common/logger';
import type { Config } from './config/config';
import { KeyRing } from './crypto/key-ring.service';
import { openRootKeys } from './crypto/open-root-keys';
import { RowTagger } from './crypto/row-tag';
import { whileBusy } from './database/busy';
import { openDataSources } from './database/database.module';
import { ownsTables } from './database/postgres-rights';
import { isUnstarted } from './database/postgres-schema';
import { useRowTags } from './database/row-tags';
import { setUpDocs } from './docs';
import { setUpHttp } from './http';
import { answerBroken, answerUnroutable } from './http-edge';
import { serverLimits } from './http-pace';

/**
 * Opens keys and database. Keys are made only where there is no database yet; a database whose keys are missing or wrong is refused, for it would
 * be unreadable, or worse, written with other keys.
 */
export async function openFoundations(config: Config): Promise<Foundations> {
  // The database holds sealed values only, yet nobody else on the machine needs to read it; SQLite gives a new file what the mask leaves.
  process.umask(0o077);
  mkdirSync(dirname(config.sqlitePath), { recursive: true, mode: 0o700 });
  const keys = openRootKeys(config, { create: await isNew(config) });
  const sources = await openDataSources(dataSourceOptions(config), dataSourceOptions(config, true));
  try {
    const tagger = new RowTagger(keys);
    useRowTags([sources.writer, sources.reader], tagger);
    await whileBusy(() =>
      sources.writer.transaction(async (tx) => {
        await new KeyRing(keys).verifyRoot(tx);
        await tagRowsOnce(tx, tagger);
      }),
    );
  } catch (error) {
    await Promise.all([sources.reader, sources.writer].map((source: DataSource) => source.destroy()));
    throw error;
  }
  if (config.production && config.postgres && (await ownsTables(sources.reader.manager)))
    process.emitWarning('The role of DATABASE_URL owns the tables, so it could take their triggers away: see the README, PostgreSQL');
  return { config, keys, sources };
}

/** Whether no server has started here yet. */
async function isNew(config: Config): Promise<boolean> {
  const options = dataSourceOptions(config);
  return options.type === 'postgres' ? isUnstarted(options) : !existsSync(config.sqlitePath);
}

/** The application, ready to listen; production, tests and tools boot the same. */
export async function createApp(foundations: Foundations): Promise<NestFastifyApplication> {
  const { config } = foundations;
  const { trustedProxies, bodyLimit } = config.http;
  const adapter = new FastifyAdapter({
    bodyLimit,
    trustProxy: trustedProxies.length > 0 ? trustedProxies : false,
    genReqId: () => newId(),
    logger: false,
    ...serverLimits(config),
    return503OnClosing: false, // Fastify's own answer has none of our headers
    routerOptions: { maxParamLength: 200 },
    forceCloseConnections: true,
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerBroken,
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.register(foundations), adapter, {
    bodyParser: false,
    abortOnError: false,
    bufferLogs: true,
  });
  app.useLogger(new NestLog(app.get<Logs>(LOGS).app));
  app.flushLogs();
  await setUpHttp(app, config);
  app.setGlobalPrefix('api/v1', { exclude: ['health/live', 'health/ready', 'metrics', '.well-known/jwks.json', 'witness/*path'] });
  if (config.http.docs) setUpDocs(app);
  return app;
}
