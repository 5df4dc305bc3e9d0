import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { describeError, LOGS, type Logs } from '../common/logger';
import { ROOT_KEYS, type RootKeys } from '../crypto/root-keys';

const POLL_MS = 1_000;

/** Follows rotations of the token keys: reads the key folder each second. A folder that cannot be read leaves the keys as they were known. */
@Injectable()
export class TokenKeysWatch implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(ROOT_KEYS) private readonly keys: RootKeys,
    @Inject(LOGS) private readonly logs: Logs,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.refresh(), POLL_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  private refresh(): void {
    try {
      this.keys.tokenKeys.refresh();
    } catch (error) {
      this.logs.app.error({ err: describeError(error) }, 'token keys cannot be read');
    }
  }
}
