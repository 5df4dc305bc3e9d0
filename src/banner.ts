import { ConfigError, type Config } from './config/config';
import { CryptoError } from './crypto/crypto-error';

/** What a server has to say when it listens. */
export interface Started {
  readonly url: string;
  /** For the founder's account; null when there is one. */
  readonly setupCode: string | null;
}

/** What the operator reads once the server listens. The set-up code is printed here and nowhere else. */
export function bannerOf(config: Config, { url, setupCode }: Started): string {
  return [
    `BJWT-EHR listens on ${url}`,
    ...(config.http.docs ? [`  API documents: ${url}/docs (switched off with NODE_ENV=production)`] : []),
    `  Data: ${config.dataDir}   Keys: ${config.keysDir} (back both up, apart from each other)`,
    ...(config.production
      ? []
      : ['  Not for production as it is: plain HTTP on this machine only; put TLS in front and set NODE_ENV=production.']),
    ...(setupCode === null
      ? []
      : [`  Set-up code for the founder (valid for 24 hours from its first print, printed only here): ${setupCode}`]),
    '',
  ].join('\n');
}

/** Why the server did not start. Only our own errors speak for themselves. */
export function excuseOf(error: unknown): string {
  if (error instanceof Error && Reflect.get(error, 'code') === 'EADDRINUSE')
    return 'BJWT-EHR did not start: the port is in use; choose another, for example PORT=3001 npm start\n';
  const isKnown = error instanceof ConfigError || error instanceof CryptoError;
  const reason = isKnown ? error.message : error instanceof Error ? (error.stack ?? error.name) : 'unknown error';
  return `BJWT-EHR did not start: ${reason}\n`;
}
