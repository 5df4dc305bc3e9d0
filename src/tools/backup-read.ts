import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { BACKUP_HEAD_BYTES, openBackup, readBackupSecret } from '../crypto/backup-key';
import { openChunks } from '../crypto/chunk-stream';
import { readPrivate } from '../crypto/key-folder';
import type { RootKeys } from '../crypto/root-keys';
import { type BackupClosing, type BackupFrame, type BackupManifest, readFrames } from './backup-format';
import { OperatorError } from './operator';

/** A backup that was read to its end: every byte is as it was written. */
export interface ReadBackup {
  readonly manifest: BackupManifest;
  readonly closing: BackupClosing;
  /** Of the file, hex. */
  readonly sha256: string;
}

/**
 * Reads a backup to its end.
 * @param keyFile the private half of the backup key
 * @param use gets each part when its chunks were authenticated
 * @throws OperatorError, CryptoError when anything is not as it was written
 */
export async function readBackup(
  from: string,
  keyFile: string,
  keys: RootKeys,
  use: (frame: BackupFrame) => Promise<unknown>,
): Promise<ReadBackup> {
  const secret = readBackupSecret(readPrivate(keyFile, 'backup key').text);
  const file = await open(from, 'r').catch(() => {
    throw new OperatorError(`${from} cannot be read`);
  });
  try {
    const hash = createHash('sha256');
    const head = Buffer.alloc(BACKUP_HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    hash.update(head.subarray(0, bytesRead));
    const key = openBackup(secret, keys, head.subarray(0, bytesRead));
    let [manifest, closing] = [undefined as BackupManifest | undefined, undefined as BackupClosing | undefined];
    for await (const frame of readFrames(
      openChunks(
        key,
        rest(file, (part) => hash.update(part)),
      ),
    )) {
      if (frame.kind === 'manifest') ({ manifest } = frame);
      if (frame.kind === 'closing') ({ closing } = frame);
      await use(frame);
    }
    if (!manifest || !closing) throw new OperatorError('The backup is not whole');
    return { manifest, closing, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

async function* rest(file: FileHandle, seen: (part: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const part of file.createReadStream({ start: BACKUP_HEAD_BYTES, autoClose: false, highWaterMark: 1 << 20 })) {
    seen(part as Buffer);
    yield part as Buffer;
  }
}
