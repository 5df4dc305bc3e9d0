import { Global, Module } from '@nestjs/common';
import { AuthorKeysService } from './author-keys.service';
import { LedgerController } from './ledger.controller';
import { LedgerErasureService } from './ledger-erasure.service';
import { LedgerService } from './ledger.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController],
  providers: [AuthorKeysService, LedgerErasureService, LedgerService, VerificationService],
  exports: [LedgerErasureService, LedgerService, VerificationService],
})
export class LedgerModule {}
