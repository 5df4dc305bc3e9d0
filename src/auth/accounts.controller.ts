import { Body, Controller, Delete, Get, Post, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api, type ApiOptions } from '../common/api-docs';
import { IdParam } from '../common/params';
import { AccountSessionsService } from './account-sessions.service';
import { AccountsService } from './accounts.service';
import {
  AccountPage,
  AccountQuery,
  AccountResponse,
  ApprovedResponse,
  IssueAccountDto,
  IssuedCodeResponse,
  SessionResponse,
} from './auth.dto';
import { DecisionsService } from './decisions.service';

const DECIDING: ApiOptions = { problems: ['not_found', 'conflict'] };
/** What opens an account to somebody: a stolen token must not do it (SEC-45). */
const OPENING: ApiOptions = { ...DECIDING, recentSignIn: true };

@Controller('accounts')
@Roles('ADMIN', 'HOSPITAL')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly decisions: DecisionsService,
    private readonly accountSessions: AccountSessionsService,
  ) {}

  @Get()
  @Api('accounts', 'Accounts by status: the approval queue and the locked ones; a hospital sees its own', AccountPage)
  list(@CurrentActor() actor: Actor, @Query() query: AccountQuery): Promise<AccountPage> {
    return this.accounts.list(actor, query);
  }

  @Post()
  @Roles('ADMIN')
  @Api('accounts', 'Issues an account for an auditor or a further founder, whom another founder must approve', IssuedCodeResponse, {
    status: 201,
    recentSignIn: true,
  })
  issue(@CurrentActor() actor: Actor, @Body() dto: IssueAccountDto): Promise<IssuedCodeResponse> {
    return this.accounts.issueStaffless(actor, dto.role, dto.name);
  }

  @Post(':id/approve')
  @Api(
    'accounts',
    'Lets somebody who registered sign in, or a founder whom another founder proposed choose a login',
    ApprovedResponse,
    OPENING,
  )
  approve(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<ApprovedResponse> {
    return this.decisions.approve(actor, id);
  }

  @Post(':id/reject')
  @Api('accounts', 'Refuses a registration', AccountResponse, DECIDING)
  reject(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AccountResponse> {
    return this.decisions.decide(actor, id, 'reject');
  }

  @Post(':id/lock')
  @Api('accounts', 'Locks a login; its tokens end at once', AccountResponse, DECIDING)
  lock(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AccountResponse> {
    return this.decisions.decide(actor, id, 'lock');
  }

  @Post(':id/unlock')
  @Api('accounts', 'Opens a locked login; what the founder locked, only a founder opens', AccountResponse, OPENING)
  unlock(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AccountResponse> {
    return this.decisions.decide(actor, id, 'unlock');
  }

  @Post(':id/close')
  @Api('accounts', 'Ends a login for good; what it did stays', AccountResponse, DECIDING)
  close(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AccountResponse> {
    return this.decisions.decide(actor, id, 'close');
  }

  @Post(':id/code')
  @Api('accounts', 'Issues a new one-time code in place of a lost password or second factor', IssuedCodeResponse, {
    status: 201,
    ...OPENING,
  })
  code(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<IssuedCodeResponse> {
    return this.decisions.reissue(actor, id);
  }

  @Get(':id/sessions')
  @Api('accounts', 'Where somebody is signed in', [SessionResponse], { problems: ['not_found'] })
  sessions(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<SessionResponse[]> {
    return this.accountSessions.list(actor, id);
  }

  @Delete(':id/sessions')
  @Api('accounts', 'Ends all sessions of somebody; the login stays open', null, { status: 204, problems: ['not_found'] })
  endSessions(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<void> {
    return this.accountSessions.end(actor, id);
  }
}
