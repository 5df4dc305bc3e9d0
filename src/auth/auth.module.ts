import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { AccountSessionsService } from './account-sessions.service';
import { AccountStore } from './account-store';
import { AccountsController } from './accounts.controller';
import { AccountsService } from './accounts.service';
import { AuthController } from './auth.controller';
import { DecisionsService } from './decisions.service';
import { DevicesController } from './devices.controller';
import { DevicesService } from './devices.service';
import { FactorProofs } from './factor-proofs.service';
import { FactorStore } from './factor-store';
import { FactorsController } from './factors.controller';
import { FactorsService } from './factors.service';
import { RecentSignInGuard, RolesGuard, SecondFactorGuard, TokenGuard } from './guards';
import { IdempotencyService } from './idempotency.service';
import { JwtStrategy } from './jwt.strategy';
import { LockoutService } from './lockout.service';
import { LoginService } from './login.service';
import { PendingProofs } from './pending-proofs.service';
import { RateGuard } from './rate.guard';
import { RateLimits } from './rate-limits.service';
import { RegistrationService } from './registration.service';
import { RevocationsService } from './revocations.service';
import { SecondFactorLoginService } from './second-factor-login.service';
import { SessionsService } from './sessions.service';
import { SetupService } from './setup.service';
import { TokenKeysWatch } from './token-keys-watch';
import { TokensService } from './tokens.service';
import { WebauthnService } from './webauthn.service';

/** Guards run in this order for every route: rate limit, token, role, second factor, recent sign-in. */
@Global()
@Module({
  imports: [PassportModule, JwtModule.register({})],
  controllers: [AuthController, AccountsController, DevicesController, FactorsController],
  providers: [
    AccountSessionsService,
    AccountStore,
    AccountsService,
    DecisionsService,
    DevicesService,
    FactorProofs,
    FactorStore,
    FactorsService,
    IdempotencyService,
    JwtStrategy,
    LockoutService,
    LoginService,
    PendingProofs,
    RateGuard,
    RateLimits,
    RegistrationService,
    RevocationsService,
    SecondFactorLoginService,
    SessionsService,
    SetupService,
    TokenKeysWatch,
    TokensService,
    WebauthnService,
    { provide: APP_GUARD, useExisting: RateGuard },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
    { provide: APP_GUARD, useClass: SecondFactorGuard },
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
