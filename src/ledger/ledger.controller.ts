import { Controller, Get, Post, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { OwnIdParam } from '../common/params';
import { ChainQuery, ChainResponse, ChainVerdictResponse, LedgerStatusResponse } from './ledger.dto';
import { VerificationService } from './verification.service';

@Controller('ledger')
@Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
export class LedgerController {
  constructor(private readonly verification: VerificationService) {}

  @Get('status')
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR')
  @Api('ledger', 'How much is sealed', LedgerStatusResponse)
  status(): Promise<LedgerStatusResponse> {
    return this.verification.status();
  }

  @Get('patients/:id/chain')
  @Api('ledger', 'The blocks of a patient’s chain, without their content', ChainResponse, { problems: ['not_found'] })
  chain(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: ChainQuery): Promise<ChainResponse> {
    return this.verification.chain(actor, id, query);
  }

  @Post('patients/:id/verify')
  @Api('ledger', 'Walks a patient’s chain and says whether anything sealed was changed, and where', ChainVerdictResponse, {
    problems: ['not_found'],
  })
  verify(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<ChainVerdictResponse> {
    return this.verification.verify(actor, id);
  }
}
