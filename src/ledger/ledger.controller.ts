import { Controller, Get, Header, Post, Query, StreamableFile } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { OwnIdParam } from '../common/params';
import { ChainQuery, ChainResponse, ChainVerdictResponse, ExportQuery, LedgerStatusResponse } from './ledger.dto';
import { ChainExportService } from './chain-export.service';
import { ChainExportResponse } from './proofs.dto';
import { LedgerStatusService } from './ledger-status.service';
import { VerificationService } from './verification.service';

@Controller('ledger')
@Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
export class LedgerController {
  constructor(
    private readonly verification: VerificationService,
    private readonly exports: ChainExportService,
    private readonly ledger: LedgerStatusService,
  ) {}

  @Get('status')
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR')
  @Api('ledger', 'How much is sealed, logged, witnessed and read again; a hospital sees its own chains and log', LedgerStatusResponse)
  status(@CurrentActor() actor: Actor): Promise<LedgerStatusResponse> {
    return this.ledger.status(actor);
  }

  @Get('patients/:id/chain')
  @Api('ledger', 'The blocks of a patient’s chain, without their content', ChainResponse, { problems: ['not_found'] })
  chain(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: ChainQuery): Promise<ChainResponse> {
    return this.verification.chain(actor, id, query);
  }

  @Get('patients/:id/export')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Header('content-disposition', 'attachment; filename="chain.json"')
  @Api('ledger', 'A patient’s whole chain with what proves it, to be verified without this server', ChainExportResponse, {
    recentSignIn: true,
    problems: ['not_found', 'conflict', 'integrity_error'],
  })
  async export(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: ExportQuery): Promise<StreamableFile> {
    return new StreamableFile(await this.exports.export(actor, id, query.contents === 'true'), { type: 'application/json' });
  }

  @Post('patients/:id/verify')
  @Api('ledger', 'Walks a patient’s chain and says whether anything sealed was changed, and where', ChainVerdictResponse, {
    problems: ['not_found'],
  })
  verify(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<ChainVerdictResponse> {
    return this.verification.verify(actor, id);
  }
}
