import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { CONFIG, type Config } from '../config/config';
import { AccountStore } from './account-store';
import { AccountsController } from './accounts.controller';
import { AccountsService } from './accounts.service';
import { AuthController } from './auth.controller';
import { isGuessable, RolesGuard, TokenGuard } from './guards';
import { IdempotencyService } from './idempotency.service';
import { JwtStrategy } from './jwt.strategy';
import { LockoutService } from './lockout.service';
import { LoginService } from './login.service';
import { RegistrationService } from './registration.service';
import { RevocationsService } from './revocations.service';
import { SessionsService } from './sessions.service';
import { SetupService } from './setup.service';
import { TokenKeysWatch } from './token-keys-watch';
import { TokensService } from './tokens.service';

const MINUTE = 60_000;

/** Guards run in this order for every route: rate limit, token, role. */
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
  controllers: [AuthController, AccountsController],
  providers: [
    AccountStore,
    AccountsService,
    IdempotencyService,
    JwtStrategy,
    LockoutService,
    LoginService,
    RegistrationService,
    RevocationsService,
    SessionsService,
    SetupService,
    TokenKeysWatch,
    TokensService,
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_GUARD, useClass: TokenGuard },
    { provide: APP_GUARD, useClass: RolesGuard },
  ],
  exports: [AccountsService, IdempotencyService, RegistrationService, RevocationsService, SetupService, TokensService],
})
export class AuthModule {}
