import { Body, Controller, Delete, Get, Headers, Post, Query } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { type Actor, CurrentActor, Public, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam, RequestId } from '../common/params';
import {
  AccountResponse,
  ActivateDto,
  EndSessionsQuery,
  JwksResponse,
  LoginDto,
  LoginResponse,
  PasswordDto,
  RefreshDto,
  SessionResponse,
  SetupDto,
  SetupResponse,
  TokenResponse,
} from './auth.dto';
import { PasswordProofDto, SecondFactorDto, SecondFactorResponse } from './factor.dto';
import { Guessable } from './guards';
import { LoginService } from './login.service';
import { SecondFactorLoginService } from './second-factor-login.service';
import { SessionsService } from './sessions.service';
import { SetupService } from './setup.service';
import { TokensService } from './tokens.service';

const DEVICE_HEADER = 'x-device-token';
const DeviceHeader = () =>
  ApiHeader({ name: 'X-Device-Token', required: false, description: 'The `deviceToken` of the last sign-in on this device' });

@Controller()
export class AuthController {
  constructor(
    private readonly logins: LoginService,
    private readonly secondFactors: SecondFactorLoginService,
    private readonly sessions: SessionsService,
    private readonly setups: SetupService,
    private readonly tokens: TokensService,
  ) {}

  @Post('setup')
  @Public()
  @Guessable()
  @Api('setup', 'Makes the founder with the code that the server printed at its first start', SetupResponse, {
    status: 201,
    open: true,
    problems: ['invalid_code', 'setup_done', 'password_unacceptable'],
  })
  setup(@Body() dto: SetupDto, @RequestId() requestId: string): Promise<SetupResponse> {
    return this.setups.setup(dto, requestId);
  }

  @Post('auth/login')
  @Public()
  @Guessable()
  @DeviceHeader()
  @Api('auth', 'Tokens for user name and password, or what second factor is asked for', LoginResponse, {
    or: SecondFactorResponse,
    open: true,
    problems: ['invalid_credentials'],
  })
  login(
    @Body() dto: LoginDto,
    @RequestId() requestId: string,
    @Headers(DEVICE_HEADER) deviceToken: string | undefined,
  ): Promise<LoginResponse | SecondFactorResponse> {
    return this.logins.login(dto, { deviceToken, requestId });
  }

  @Post('auth/login/second-factor')
  @Public()
  @Guessable()
  @DeviceHeader()
  @Api('auth', 'Tokens for the second factor that a sign-in or a step-up has asked for', LoginResponse, {
    open: true,
    problems: ['invalid_second_factor'],
  })
  secondFactor(
    @Body() dto: SecondFactorDto,
    @RequestId() requestId: string,
    @Headers(DEVICE_HEADER) deviceToken: string | undefined,
  ): Promise<LoginResponse> {
    return this.secondFactors.complete(dto, { deviceToken, requestId });
  }

  @Post('auth/step-up')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Guessable()
  @DeviceHeader()
  @Api('auth', 'Proves it again: a new session with a fresh sign-in in place of this one', LoginResponse, {
    or: SecondFactorResponse,
    enrolling: true,
    problems: ['invalid_credentials'],
  })
  stepUp(
    @CurrentActor() actor: Actor,
    @Body() dto: PasswordProofDto,
    @Headers(DEVICE_HEADER) deviceToken: string | undefined,
  ): Promise<LoginResponse | SecondFactorResponse> {
    return this.logins.stepUp(actor, dto.password, deviceToken);
  }

  @Post('auth/activate')
  @Public()
  @Guessable()
  @Api('auth', 'First user name and password of an account that was issued with a one-time code', AccountResponse, {
    open: true,
    problems: ['invalid_code', 'already_exists', 'password_unacceptable'],
  })
  activate(@Body() dto: ActivateDto, @RequestId() requestId: string): Promise<AccountResponse> {
    return this.logins.activate(dto, requestId);
  }

  @Post('auth/refresh')
  @Public()
  @Api('auth', 'New tokens for a refresh token; each works once', TokenResponse, { open: true, problems: ['invalid_refresh_token'] })
  refresh(@Body() dto: RefreshDto, @RequestId() requestId: string): Promise<TokenResponse> {
    return this.sessions.refresh(dto.refreshToken, requestId);
  }

  @Post('auth/logout')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('auth', 'Ends this session: its access and refresh tokens are void at once', null, { status: 204, enrolling: true })
  logout(@CurrentActor() actor: Actor): Promise<void> {
    return this.sessions.logout(actor, actor.sessionId);
  }

  @Post('auth/password')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Guessable()
  @DeviceHeader()
  @Api('auth', 'Changes the own password, ends all other sessions and forgets all other devices', null, {
    status: 204,
    problems: ['invalid_credentials', 'password_unacceptable', 'not_found'],
  })
  password(@CurrentActor() actor: Actor, @Body() dto: PasswordDto, @Headers(DEVICE_HEADER) deviceToken: string | undefined): Promise<void> {
    return this.logins.changePassword(actor, dto, deviceToken);
  }

  @Get('auth/me')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('auth', 'The own account', AccountResponse, { enrolling: true, problems: ['not_found'] })
  me(@CurrentActor() actor: Actor): Promise<AccountResponse> {
    return this.logins.me(actor);
  }

  @Get('auth/sessions')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('auth', 'The own open sessions', [SessionResponse])
  list(@CurrentActor() actor: Actor): Promise<SessionResponse[]> {
    return this.sessions.own(actor);
  }

  @Delete('auth/sessions')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('auth', 'Ends all own sessions, or all but this one', null, { status: 204 })
  endAll(@CurrentActor() actor: Actor, @Query() query: EndSessionsQuery): Promise<void> {
    return this.sessions.endOwn(actor, query.keep);
  }

  @Delete('auth/sessions/:id')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('auth', 'Ends one of the own sessions', null, { status: 204, problems: ['not_found'] })
  end(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<void> {
    return this.sessions.logout(actor, id);
  }

  @Get('.well-known/jwks.json')
  @Public()
  @Api('auth', 'Public keys with which others verify our access tokens', JwksResponse, { open: true })
  jwks(): JwksResponse {
    return this.tokens.jwks();
  }
}
