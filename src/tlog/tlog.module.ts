import { Global, Module } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config';
import { LogKeys } from './log-keys';
import { LogProofs } from './log-proofs.service';
import { LogPublisher } from './log-publisher.service';
import { LogStatusService } from './log-status.service';
import { POLICY, readPolicy } from './policy-file';
import { PublicationService } from './publication.service';
import { TlogController } from './tlog.controller';
import { TlogService } from './tlog.service';
import { Trees } from './tree-reader';
import { WitnessingService } from './witnessing.service';

/** The transparency logs: one per hospital, of everything that is sealed. */
@Global()
@Module({
  controllers: [TlogController],
  providers: [
    { provide: POLICY, inject: [CONFIG], useFactory: ({ ledger }: Config) => readPolicy(ledger.policyFile) },
    LogKeys,
    Trees,
    WitnessingService,
    LogPublisher,
    LogProofs,
    TlogService,
    PublicationService,
    LogStatusService,
  ],
  exports: [POLICY, LogKeys, WitnessingService, LogPublisher, LogProofs, TlogService, PublicationService, LogStatusService],
})
export class TlogModule {}
