import cluster from 'node:cluster';
import { extname, join } from 'node:path';
import { bannerOf, excuseOf } from './banner';
import { ClusterWorkers } from './cluster-workers';
import { readConfig } from './config/config';
import { onEndSignal } from './shutdown';

/** Beyond what a worker has to end. */
const MARGIN_MS = 7_000;

/** The primary process of a cluster: it starts servers that share one port, replaces one that died, and ends them. It opens no database and no key. */
async function main(): Promise<void> {
  const config = readConfig();
  const { processes } = config.cluster;
  const { delaySeconds, seconds } = config.shutdown;
  cluster.setupPrimary({ exec: join(__dirname, `main${extname(__filename)}`) });
  const workers = new ClusterWorkers((line) => process.stderr.write(`BJWT-EHR: ${line}\n`));
  // However this process ends, it leaves none behind.
  process.on('exit', () => workers.kill());
  onEndSignal(() => {
    setTimeout(() => process.exit(1), (delaySeconds + seconds) * 1_000 + MARGIN_MS).unref();
    workers.end();
  });
  const started = await workers.start(processes);
  if (started) process.stdout.write(`${bannerOf(config, started)}  Processes: ${processes} (pids ${workers.pids.join(', ')})\n`);
  process.exit((await workers.whenOver) ? 0 : 1);
}

main().catch((error: unknown) => {
  process.stderr.write(excuseOf(error));
  process.exit(1);
});
