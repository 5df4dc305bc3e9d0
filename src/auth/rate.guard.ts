import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../config/config';
import { clientNetwork } from './client-address';
import { DevicesService } from './devices.service';
import { isGuessable } from './guards';
import { bearerToken } from './jwt.strategy';
import { RateLimits } from './rate-limits.service';
import { TokensService } from './tokens.service';

/** The first guard: nobody asks more than the limits allow. */
@Injectable()
export class RateGuard implements CanActivate {
  constructor(
    private readonly limits: RateLimits,
    private readonly tokens: TokensService,
    private readonly devices: DevicesService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    this.pass(request);
    if (isGuessable(context)) await this.passGuess(request);
    return true;
  }

  /** Who is signed in counts for the account, wherever the requests come from; others for their address, and so does the first use of each token. */
  pass(request: FastifyRequest): void {
    const token = bearerToken(request);
    const holder = token === null ? undefined : this.tokens.holderOf(token, request.id);
    const client = holder === undefined ? `address ${clientNetwork(request.ip)}` : `account ${holder}`;
    this.limits.pass(client, this.config.http.requestsPerMinute);
  }

  /** What strangers use up together must not keep those out who come from a device that is known. */
  private async passGuess(request: FastifyRequest): Promise<void> {
    const { loginsPerMinute, loginsPerMinuteAll } = this.config.http;
    const limits = new Map([[`guess ${clientNetwork(request.ip)}`, loginsPerMinute]]);
    if (!(await this.devices.isKnown(deviceTokenOf(request)))) limits.set('guess', loginsPerMinuteAll);
    await this.limits.passEverywhere(limits);
  }
}

/** The header of a known device, once. */
export function deviceTokenOf(request: FastifyRequest): string | undefined {
  const value = request.headers['x-device-token'];
  return typeof value === 'string' ? value : undefined;
}
