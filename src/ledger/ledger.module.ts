import { Global, Module } from '@nestjs/common';
import { AuthorKeysService } from './author-keys.service';
import { ChainExportService } from './chain-export.service';
import { LedgerController } from './ledger.controller';
import { LedgerService } from './ledger.service';
import { LedgerStatusService } from './ledger-status.service';
import { ProofsService } from './proofs.service';
import { ScrubService } from './scrub.service';
import { TrailBatchesService } from './trail-batches.service';
import { TrailProofController } from './trail-proof.controller';
import { TrailProofsService } from './trail-proofs.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController, TrailProofController],
  providers: [
    AuthorKeysService,
    ChainExportService,
    LedgerService,
    LedgerStatusService,
    ProofsService,
    ScrubService,
    TrailBatchesService,
    TrailProofsService,
    VerificationService,
  ],
  exports: [LedgerService, LedgerStatusService, ProofsService, VerificationService],
})
export class LedgerModule {}
