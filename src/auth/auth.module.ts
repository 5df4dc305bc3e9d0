import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { AccountStore } from './account-store';
import { AccountsController } from './accounts.controller';
import { AccountsService } from './accounts.service';
import { AuthController } from './auth.controller';
import { DecisionsService } from './decisions.service';
import { DevicesController } from './devices.controller';
import { DevicesService } from './devices.service';
import { RecentSignInGuard, RolesGuard, TokenGuard } from './guards';
import { IdempotencyService } from './idempotency.service';
import { JwtStrategy } from './jwt.strategy';
import { LockoutService } from './lockout.service';
import { LoginService } from './login.service';
import { RateGuard } from './rate.guard';
import { RateLimits } from './rate-limits.service';
import { RegistrationService } from './registration.service';
import { RevocationsService } from './revocations.service';
import { SessionsService } from './sessions.service';
import { SetupService } from './setup.service';
import { TokenKeysWatch } from './token-keys-watch';
import { TokensService } from './tokens.service';

/** Guards run in this order for every route: rate limit, token, role, recent sign-in. */
@Global()
@Module({
  imports: [PassportModule, JwtModule.register({})],
  controllers: [AuthController, AccountsController, DevicesController],
  providers: [
    AccountStore,
    AccountsService,
    DecisionsService,
    DevicesService,
    IdempotencyService,
    JwtStrategy,
    LockoutService,
    LoginService,
    RateGuard,
    RateLimits,
    RegistrationService,
    RevocationsService,
    SessionsService,
    SetupService,
    TokenKeysWatch,
    TokensService,
    { provide: APP_GUARD, useExisting: RateGuard },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
    { provide: APP_GUARD, useClass: RecentSignInGuard },
  ],
  exports: [
    AccountsService,
    DecisionsService,
    IdempotencyService,
    RateGuard,
    RegistrationService,
    RevocationsService,
    SetupService,
    TokensService,
  ],
})
export class AuthModule {}
