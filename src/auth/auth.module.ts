import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { CONFIG, type Config } from '../config/config';
import { AccountSessionsService } from './account-sessions.service';
import { AccountStore } from './account-store';
import { AccountsController } from './accounts.controller';
import { AccountsService } from './accounts.service';
import { AuthController } from './auth.controller';
import { FactorProofs } from './factor-proofs.service';
import { FactorStore } from './factor-store';
import { FactorsController } from './factors.controller';
import { FactorsService } from './factors.service';
import { isGuessable, RecentSignInGuard, RolesGuard, SecondFactorGuard, TokenGuard } from './guards';
import { IdempotencyService } from './idempotency.service';
import { JwtStrategy } from './jwt.strategy';
import { LockoutService } from './lockout.service';
import { LoginService } from './login.service';
import { PendingProofs } from './pending-proofs.service';
import { RegistrationService } from './registration.service';
import { RevocationsService } from './revocations.service';
import { SecondFactorLoginService } from './second-factor-login.service';
import { SessionsService } from './sessions.service';
import { SetupService } from './setup.service';
import { TokensService } from './tokens.service';
import { WebauthnService } from './webauthn.service';

const MINUTE = 60_000;

/** Guards run in this order for every route: rate limit, token, role, second factor, recent sign-in. */
@Global()
@Module({
  imports: [
    PassportModule,
    JwtModule.register({}),
    ThrottlerModule.forRootAsync({
      inject: [CONFIG],
      useFactory: ({ http }: Config) => [
        { name: 'default', ttl: MINUTE, limit: http.requestsPerMinute },
        { name: 'guessable', ttl: MINUTE, limit: http.loginsPerMinute, skipIf: (context) => !isGuessable(context) },
      ],
    }),
  ],
  controllers: [AuthController, AccountsController, FactorsController],
  providers: [
    AccountSessionsService,
    AccountStore,
    AccountsService,
    FactorProofs,
    FactorStore,
    FactorsService,
    IdempotencyService,
    JwtStrategy,
    LockoutService,
    LoginService,
    PendingProofs,
    RegistrationService,
    RevocationsService,
    SecondFactorLoginService,
    SessionsService,
    SetupService,
    TokensService,
    WebauthnService,
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
    { provide: APP_GUARD, useClass: SecondFactorGuard },
    { provide: APP_GUARD, useClass: RecentSignInGuard },
  ],
  exports: [AccountsService, IdempotencyService, RegistrationService, RevocationsService, SetupService, TokensService],
})
export class AuthModule {}
