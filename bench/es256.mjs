/**
 * ES256 access tokens without a framework: what the floor and the bare Fastify server use.
 *
 * Same idea as in our server, so that the comparison is fair: the first request with a token pays for the signature check (about 80 µs), the claims are
 * kept, and every later request with the same token only looks them up and checks the expiry again.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto';

const CACHED_TOKENS = 10_000;
const b64u = (text) => Buffer.from(text).toString('base64url');

/**
 * A fresh key pair with an issuer and a verifier.
 * @returns {{ issue: () => string, actorOf: (authorization: string | undefined) => { sub: string, exp: number } | undefined }}
 */
export function tokens() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  /** @type {Map<string, { sub: string, exp: number }>} */
  const verified = new Map();

  const issue = () => {
    const iat = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'urn:floor',
      aud: 'urn:floor:api',
      sub: '0190a000-0000-7000-8000-000000000001',
      iat,
      exp: iat + 3600,
      role: 'DOCTOR',
    };
    const input = `${b64u(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: 'floor' }))}.${b64u(JSON.stringify(claims))}`;
    return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };

  const check = (token) => {
    const [head, body, tail] = token.split('.');
    if (head === undefined || body === undefined || tail === undefined) return undefined;
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    if (header.alg !== 'ES256' || header.typ !== 'at+jwt') return undefined;
    const signature = Buffer.from(tail, 'base64url');
    if (!verify('sha256', Buffer.from(`${head}.${body}`), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)) return undefined;
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    if (claims.iss !== 'urn:floor' || claims.aud !== 'urn:floor:api') return undefined;
    if (verified.size >= CACHED_TOKENS) verified.clear();
    verified.set(token, claims);
    return claims;
  };

  const actorOf = (authorization) => {
    if (authorization === undefined || !authorization.startsWith('Bearer ')) return undefined;
    const token = authorization.slice(7);
    const claims = verified.get(token) ?? check(token);
    return claims && claims.exp > Date.now() / 1000 ? claims : undefined;
  };

  return { issue, actorOf };
}
