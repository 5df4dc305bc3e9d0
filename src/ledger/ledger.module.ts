import { Global, Module } from '@nestjs/common';
import { AttestationsService } from './attestations.service';
import { AuthorKeysService } from './author-keys.service';
import { ChainExportService } from './chain-export.service';
import { KeyRegistryService } from './key-registry.service';
import { KeysController } from './keys.controller';
import { LedgerController } from './ledger.controller';
import { LedgerService } from './ledger.service';
import { ProofsService } from './proofs.service';
import { VerificationService } from './verification.service';

@Global()
@Module({
  controllers: [LedgerController, KeysController],
  providers: [
    AttestationsService,
    AuthorKeysService,
    ChainExportService,
    KeyRegistryService,
    LedgerService,
    ProofsService,
    VerificationService,
  ],
  exports: [LedgerService, ProofsService, VerificationService],
})
export class LedgerModule {}
