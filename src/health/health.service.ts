import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/errors';
import { Database } from '../database/database';
import { SOON } from '../database/executor';
import { ConnectionsService } from './connections.service';

/** Whether the server can serve. */
@Injectable()
export class HealthService {
  constructor(
    private readonly database: Database,
    private readonly connections: ConnectionsService,
  ) {}

  /** @throws ApiError unavailable when the database does not answer, or the server ends */
  async check(): Promise<void> {
    if (this.connections.isEnding) throw new ApiError('unavailable', 'The server is ending');
    try {
      await this.database.reader.query('SELECT 1');
      await this.database.assertWritable();
    } catch {
      throw new ApiError('unavailable', 'The database does not answer', SOON);
    }
  }
}
