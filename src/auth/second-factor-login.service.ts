import { Injectable } from '@nestjs/common';
import { ApiError, invalid } from '../common/errors';
import { Database } from '../database/database';
import { AccountStore } from './account-store';
import type { LoginResponse } from './auth.dto';
import type { SecondFactorDto } from './factor.dto';
import { FactorProofs } from './factor-proofs.service';
import { LockoutService } from './lockout.service';
import { type Client, LoginService } from './login.service';
import { PendingProofs } from './pending-proofs.service';
import { SessionsService } from './sessions.service';

/** The second step of a sign-in. */
@Injectable()
export class SecondFactorLoginService {
  constructor(
    private readonly database: Database,
    private readonly store: AccountStore,
    private readonly pendings: PendingProofs,
    private readonly proofs: FactorProofs,
    private readonly sessions: SessionsService,
    private readonly lockouts: LockoutService,
    private readonly logins: LoginService,
  ) {}

  /**
   * Tokens for the second factor of somebody whose password was right within the last five minutes. A wrong one counts as a wrong password does; after
   * five the sign-in has to begin again. Whatever is wrong, the answer is the same.
   */
  async complete(dto: SecondFactorDto, client: Client): Promise<LoginResponse> {
    const shown = [dto.totp, dto.recoveryCode, dto.webauthn].filter((item) => item !== undefined);
    if (shown.length !== 1) throw invalid('totp', 'send one of totp, recoveryCode and webauthn');
    const { deviceToken, requestId } = client;
    const waiting = await this.pendings.find(this.database.reader, dto.mfaToken, 'login');
    const holder = waiting && (await this.store.find(this.database.reader, 'id', waiting.accountId));
    const proof = holder ? await this.proofs.verify(holder, waiting, dto) : null;
    const answer = await this.database.transaction(async (tx) => {
      const pending = await this.pendings.find(tx, dto.mfaToken, 'login');
      const attempt = await this.lockouts.attempt(tx, pending?.accountId, deviceToken);
      const { account } = attempt;
      if (!pending || !account) {
        await this.lockouts.refuse(tx, attempt, { reason: 'unknown', proved: false, requestId });
        return null;
      }
      const { sessionId: replaces } = pending;
      const hasEnded = replaces !== null && !(await this.sessions.isOpen(tx, { id: account.id, sessionId: replaces }));
      const refusal = this.lockouts.refusal(attempt, account.password, true) ?? (hasEnded ? 'session_ended' : null);
      if (refusal === null && proof && (await this.proofs.use(tx, account.id, proof)) && (await this.pendings.spend(tx, pending)))
        return this.logins.signIn(tx, account, attempt, { amr: `pwd ${proof.amr}`, replaces }, client);
      await this.pendings.fail(tx, pending);
      const proved = refusal !== null && proof !== null;
      await this.lockouts.refuse(tx, attempt, { reason: refusal ?? 'wrong_second_factor', proved, requestId });
      return null;
    });
    if (!answer) throw new ApiError('invalid_second_factor');
    return answer;
  }
}
