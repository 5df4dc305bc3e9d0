import { Global, Module } from '@nestjs/common';
import { AuthorKeysService } from './author-keys.service';
import { LedgerController } from './ledger.controller';
import { LedgerService } from './ledger.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController],
  providers: [AuthorKeysService, LedgerService, VerificationService],
  exports: [LedgerService, VerificationService],
})
export class LedgerModule {}
