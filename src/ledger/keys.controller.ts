import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { PageQuery } from '../common/page';
import { AuthorKeyPage, AuthorKeyResponse, RegisterKeyDto, RevokeKeyDto } from './key.dto';
import { KeyRegistryService } from './key-registry.service';

/** The keys with which authors attest what is sealed. */
@Controller('ledger/keys')
@Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT')
export class KeysController {
  constructor(private readonly registry: KeyRegistryService) {}

  @Get()
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR')
  @Api('ledger', 'Public keys of authors and what the logs say about them; a hospital sees its own log’s', AuthorKeyPage)
  list(@CurrentActor() actor: Actor, @Query() query: PageQuery): Promise<AuthorKeyPage> {
    return this.registry.list(actor, query);
  }

  @Post()
  @Roles('DOCTOR')
  @Api('ledger', 'Registers the own key: from then on only its holder signs', AuthorKeyResponse, {
    status: 201,
    idempotent: true,
    recentSignIn: true,
    problems: ['invalid_key', 'already_exists', 'conflict', 'log_halted'],
  })
  register(@CurrentActor() actor: Actor, @Body() dto: RegisterKeyDto): Promise<AuthorKeyResponse> {
    return this.registry.register(actor, dto);
  }

  @Post(':kid/revocation')
  @Api(
    'ledger',
    'Ends a key; what it signed before stays valid. For its holder, the holder’s hospital and the founder',
    AuthorKeyResponse,
    {
      status: 201,
      recentSignIn: true,
      problems: ['not_found', 'conflict', 'log_halted'],
    },
  )
  revoke(@CurrentActor() actor: Actor, @Param('kid') kid: string, @Body() dto: RevokeKeyDto): Promise<AuthorKeyResponse> {
    return this.registry.revoke(actor, kid, dto.reason);
  }
}
