import { Global, Module } from '@nestjs/common';
import { AuthorKeysService } from './author-keys.service';
import { ChainExportService } from './chain-export.service';
import { LedgerController } from './ledger.controller';
import { LedgerService } from './ledger.service';
import { ProofsService } from './proofs.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController],
  providers: [AuthorKeysService, ChainExportService, LedgerService, ProofsService, VerificationService],
  exports: [LedgerService, ProofsService, VerificationService],
})
export class LedgerModule {}
