import { Inject, Injectable } from '@nestjs/common';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { CONFIG, type Config } from '../config/config';
import { ROOT_KEYS, type RootKeys } from '../crypto/root-keys';
import { hkdf } from '../ledger/core/bytes';
import { type NoteSigner } from '../ledger/core/note';
import { noteKey } from '../ledger/core/vkey';

/** What stands before the 32 bytes of a seed in the PKCS#8 form of an Ed25519 key (RFC 8410 section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const LOG = 1;
const WITNESS = 4;

/**
 * The Ed25519 keys with which this server signs checkpoints and cosignatures. They are derived from the ledger key by name, so that a new hospital
 * needs no new file, and no two names share a key (C2SP tlog-cosignature forbids it).
 */
@Injectable()
export class LogKeys {
  /** This server as a witness of others' logs. */
  readonly witness: NoteSigner;
  private readonly ofLogs = new Map<string, NoteSigner>();

  constructor(
    @Inject(ROOT_KEYS) private readonly keys: RootKeys,
    @Inject(CONFIG) { ledger }: Pick<Config, 'ledger'>,
  ) {
    this.witness = this.signer(ledger.witnessName, WITNESS, 'witness');
  }

  /** Signer of the checkpoints of the log of this origin. */
  log(origin: string): NoteSigner {
    const found = this.ofLogs.get(origin) ?? this.signer(origin, LOG, 'log');
    this.ofLogs.set(origin, found);
    return found;
  }

  private signer(name: string, type: typeof LOG | typeof WITNESS, use: string): NoteSigner {
    const privateKey = derive(this.keys.ledgerKey, `bjwt-ehr/${use}-key/v1\n${name}`);
    const x = createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '';
    return { key: noteKey(name, type, Buffer.from(x, 'base64url')), privateKey };
  }
}

function derive(root: KeyObject, info: string): KeyObject {
  const seed = hkdf(root, '', info, 32);
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}
