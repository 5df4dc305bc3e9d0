import { Injectable } from '@nestjs/common';
import type { Actor } from '../common/actor';
import { Database } from '../database/database';
import { AccountsService } from './accounts.service';
import type { SessionResponse } from './auth.dto';
import { DecisionsService } from './decisions.service';
import { SessionsService } from './sessions.service';

/** The sessions of others, for those who decide about their accounts (SEC-23). */
@Injectable()
export class AccountSessionsService {
  constructor(
    private readonly database: Database,
    private readonly accounts: AccountsService,
    private readonly decisions: DecisionsService,
    private readonly sessions: SessionsService,
  ) {}

  list(actor: Actor, id: string): Promise<SessionResponse[]> {
    return this.database.transaction(async (tx) => {
      await this.accounts.note(tx, actor, 'session.list', await this.decisions.deciding(tx, actor, id));
      return this.sessions.list(tx, id, null);
    });
  }

  end(actor: Actor, id: string): Promise<void> {
    return this.database.transaction(async (tx) => {
      const account = await this.decisions.deciding(tx, actor, id);
      await this.sessions.endAll(tx, id);
      await this.accounts.note(tx, actor, 'session.end', account);
    });
  }
}
