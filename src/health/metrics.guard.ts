import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { bearerToken } from '../auth/jwt.strategy';
import { ApiError, notFound } from '../common/errors';
import { CONFIG, type Config, ConfigError } from '../config/config';

const TOKEN = /^[\x21-\x7e]{32,512}$/;
const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** SHA-256 of the token in a file, which only its owner may read. The open file is checked, so that what was checked is what is read. */
function readDigest(file: string): Buffer {
  const wrong = new ConfigError('METRICS_TOKEN_FILE', 'must be a file that only its owner reads (0600), with 32 to 512 visible characters');
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const token = readFileSync(fd, 'latin1').trim();
    if (!TOKEN.test(token) || (process.platform !== 'win32' && (fstatSync(fd).mode & 0o077) !== 0)) throw wrong;
    return digestOf(token);
  } catch {
    throw wrong;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Metrics say how much is going on (SEC-75): with a token file they ask for its token; without one they are open, and in production not there. */
@Injectable()
export class MetricsGuard implements CanActivate {
  private readonly digest: Buffer | null;

  /** @throws ConfigError when the file is not as it must be */
  constructor(@Inject(CONFIG) private readonly config: Config) {
    const file = config.http.metricsTokenFile;
    this.digest = file === null ? null : readDigest(file);
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.digest === null) {
      if (this.config.production) throw notFound();
      return true;
    }
    const token = bearerToken(context.switchToHttp().getRequest<FastifyRequest>());
    // Digests of equal length: the comparison tells neither length nor common beginning.
    if (token === null || !timingSafeEqual(digestOf(token), this.digest)) throw new ApiError('unauthenticated');
    return true;
  }
}
