import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** What a test changes about an honest authenticator and browser. */
export interface Deviation {
  origin?: string;
  rpId?: string;
  type?: string;
  userVerified?: boolean;
  userPresent?: boolean;
  counter?: number;
  crossOrigin?: boolean;
  /** A maker's certificate in the attestation. */
  certificate?: Buffer;
}

const PRESENT = 0x01;
const VERIFIED = 0x04;
const ATTESTED = 0x40;

/** A security key and the browser before it, in software: ES256, attestation "none" (WebAuthn Level 3 sections 6 and 8.7). */
export class SoftKey {
  readonly id = randomBytes(32);
  private readonly pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  private counter = 0;

  constructor(
    private readonly rpId = 'localhost',
    private readonly origin = 'http://localhost:3000',
  ) {}

  /** Answers to `navigator.credentials.create()`. */
  create(challenge: string, deviation: Deviation = {}): { id: string; clientDataJSON: string; attestationObject: string } {
    const { x = '', y = '' } = this.pair.publicKey.export({ format: 'jwk' });
    const coordinate = (text: string) => bytes(Buffer.from(text, 'base64url'));
    // COSE_Key (RFC 9053 section 7.1): kty EC2, alg ES256, crv P-256, x, y
    const cose = map([
      [int(1), int(2)],
      [int(3), int(-7)],
      [int(-1), int(1)],
      [int(-2), coordinate(x)],
      [int(-3), coordinate(y)],
    ]);
    const size = Buffer.alloc(2);
    size.writeUInt16BE(this.id.length);
    const credential = Buffer.concat([Buffer.alloc(16), size, this.id, cose]);
    const data = Buffer.concat([this.authenticatorData(ATTESTED, deviation), credential]);
    const { certificate } = deviation;
    const statement = certificate ? map([[text('x5c'), Buffer.concat([Buffer.from([0x81]), bytes(certificate)])]]) : map([]);
    const attestationObject = map([
      [text('fmt'), text(certificate ? 'packed' : 'none')],
      [text('attStmt'), statement],
      [text('authData'), bytes(data)],
    ]).toString('base64url');
    return {
      id: this.id.toString('base64url'),
      clientDataJSON: this.clientData('webauthn.create', challenge, deviation),
      attestationObject,
    };
  }

  /** Answers to `navigator.credentials.get()`. */
  get(challenge: string, deviation: Deviation = {}): { id: string; clientDataJSON: string; authenticatorData: string; signature: string } {
    this.counter = deviation.counter ?? this.counter + 1;
    const data = this.authenticatorData(0, { ...deviation, counter: this.counter });
    const clientDataJSON = this.clientData('webauthn.get', challenge, deviation);
    const signed = Buffer.concat([data, sha256(Buffer.from(clientDataJSON, 'base64url'))]);
    return {
      id: this.id.toString('base64url'),
      clientDataJSON,
      authenticatorData: data.toString('base64url'),
      signature: sign('sha256', signed, this.pair.privateKey).toString('base64url'),
    };
  }

  private clientData(type: string, challenge: string, { origin = this.origin, crossOrigin = false, ...rest }: Deviation): string {
    return Buffer.from(JSON.stringify({ type: rest.type ?? type, challenge, origin, crossOrigin })).toString('base64url');
  }

  private authenticatorData(more: number, { rpId = this.rpId, userVerified = true, userPresent = true, counter = 0 }: Deviation): Buffer {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    const flags = more | (userPresent ? PRESENT : 0) | (userVerified ? VERIFIED : 0);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), count]);
  }
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

// Of CBOR (RFC 8949) only what is needed: small integers, texts, byte strings, maps.
function head(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  if (value < 256) return Buffer.from([(major << 5) | 24, value]);
  return Buffer.from([(major << 5) | 25, value >> 8, value & 255]);
}
const int = (value: number) => (value < 0 ? head(1, -1 - value) : head(0, value));
const text = (value: string) => Buffer.concat([head(3, value.length), Buffer.from(value)]);
const bytes = (value: Buffer) => Buffer.concat([head(2, value.length), value]);
const map = (entries: [Buffer, Buffer][]) => Buffer.concat([head(5, entries.length), ...entries.flat()]);
