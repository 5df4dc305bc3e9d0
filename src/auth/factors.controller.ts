import { Body, Controller, Delete, Get, Post } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import {
  AddKeyDto,
  FactorResponse,
  FactorsResponse,
  KeyCreationOptions,
  RecoveryCodesResponse,
  TotpCodeDto,
  TotpSeedResponse,
} from './factor.dto';
import { FactorsService } from './factors.service';
import { Guessable } from './guards';

const CHANGING = { enrolling: true, recentSignIn: true } as const;

@Controller('auth/factors')
@Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
export class FactorsController {
  constructor(private readonly factors: FactorsService) {}

  @Get()
  @Api('factors', 'The own second factors', FactorsResponse, { enrolling: true })
  list(@CurrentActor() actor: Actor): Promise<FactorsResponse> {
    return this.factors.list(actor);
  }

  @Post('totp')
  @Api('factors', 'Makes the seed of a code app (TOTP, RFC 6238); it counts after the confirmation', TotpSeedResponse, {
    ...CHANGING,
    status: 201,
    problems: ['conflict', 'not_found'],
  })
  enrolTotp(@CurrentActor() actor: Actor): Promise<TotpSeedResponse> {
    return this.factors.enrolTotp(actor);
  }

  @Post('totp/confirmation')
  @Guessable()
  @Api('factors', 'Confirms the code app with a code, within five minutes; other sessions end', FactorResponse, {
    enrolling: true,
    problems: ['invalid_second_factor', 'not_found'],
  })
  confirmTotp(@CurrentActor() actor: Actor, @Body() dto: TotpCodeDto): Promise<FactorResponse> {
    return this.factors.confirmTotp(actor, dto.code);
  }

  @Post('webauthn/options')
  @Api('factors', 'What a browser needs to make a passkey or to add a security key (WebAuthn), for five minutes', KeyCreationOptions, {
    ...CHANGING,
    problems: ['conflict', 'not_found'],
  })
  enrolKey(@CurrentActor() actor: Actor): Promise<KeyCreationOptions> {
    return this.factors.enrolKey(actor);
  }

  @Post('webauthn')
  @Guessable()
  @Api('factors', 'Adds the passkey or security key that was made for these options; other sessions end', FactorResponse, {
    enrolling: true,
    status: 201,
    problems: ['invalid_key', 'already_exists', 'conflict', 'not_found'],
  })
  addKey(@CurrentActor() actor: Actor, @Body() dto: AddKeyDto): Promise<FactorResponse> {
    return this.factors.addKey(actor, dto);
  }

  @Post('recovery-codes')
  @Api(
    'factors',
    'Ten codes on paper for who loses the factor; those from before work no more, other sessions end',
    RecoveryCodesResponse,
    {
      ...CHANGING,
      status: 201,
      problems: ['conflict'],
    },
  )
  recoveryCodes(@CurrentActor() actor: Actor): Promise<RecoveryCodesResponse> {
    return this.factors.recoveryCodes(actor);
  }

  @Delete(':id')
  @Api('factors', 'Removes a second factor, with the last one also the recovery codes; other sessions end', null, {
    ...CHANGING,
    status: 204,
    problems: ['not_found'],
  })
  remove(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<void> {
    return this.factors.remove(actor, id);
  }
}
