import { Global, Module } from '@nestjs/common';
import { AuthorKeysService } from './author-keys.service';
import { LedgerController } from './ledger.controller';
import { LedgerService } from './ledger.service';
import { LedgerStatusService } from './ledger-status.service';
import { ProofsService } from './proofs.service';
import { ScrubService } from './scrub.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController],
  providers: [AuthorKeysService, LedgerService, ProofsService, VerificationService, ScrubService, LedgerStatusService],
  exports: [LedgerService, ProofsService, VerificationService, LedgerStatusService],
})
export class LedgerModule {}
