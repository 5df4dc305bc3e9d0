import 'reflect-metadata';
import { deserialize, serialize } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { LeafMarks } from '../tlog/leaf-marks';
import { openAuditSource } from './audit-source';
import { AuditHand, type AuditTask } from './audit-tasks';
import type { WorkerSetup } from './audit-pool';

/** One thread of an audit: takes tasks, one after another, on a read-only connection of its own. */
async function main(): Promise<void> {
  const { setup, mode, bits } = workerData as WorkerSetup;
  const opened = await openAuditSource(setup);
  const hand = await AuditHand.of(opened, mode, new LeafMarks(bits));
  parentPort?.on('message', (bytes: Uint8Array | null) => {
    if (bytes === null) return void opened.source.destroy().then(() => parentPort?.close());
    // V8's own form keeps buffers as buffers, which a plain message does not.
    const task = deserialize(bytes) as AuditTask;
    hand.run(task).then(
      (result) => parentPort?.postMessage(serialize(result)),
      (error: unknown) => {
        throw error;
      },
    );
  });
}

void main();
