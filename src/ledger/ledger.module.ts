import { Global, Module } from '@nestjs/common';
import { AttestationsService } from './attestations.service';
import { AuthorKeysService } from './author-keys.service';
import { ChainExportService } from './chain-export.service';
import { KeyRegistryService } from './key-registry.service';
import { KeysController } from './keys.controller';
import { LedgerController } from './ledger.controller';
import { LedgerErasureService } from './ledger-erasure.service';
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
  controllers: [LedgerController, KeysController, TrailProofController],
  providers: [
    AttestationsService,
    AuthorKeysService,
    ChainExportService,
    KeyRegistryService,
    LedgerErasureService,
    LedgerService,
    LedgerStatusService,
    ProofsService,
    ScrubService,
    TrailBatchesService,
    TrailProofsService,
    VerificationService,
  ],
  exports: [LedgerErasureService, LedgerService, LedgerStatusService, ProofsService, VerificationService],
})
export class LedgerModule {}
