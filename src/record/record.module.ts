import { Global, Module } from '@nestjs/common';
import { AttachmentController } from './attachment.controller';
import { AttachmentsService } from './attachments.service';
import { ChartPrintService } from './chart-print.service';
import { EntriesService } from './entries.service';
import { RecordController } from './record.controller';
import { RecordErasureService } from './record-erasure.service';
import { RecordProofsController } from './record-proofs.controller';
import { RecordProofsService } from './record-proofs.service';
import { RecordsService } from './records.service';
import { SealingService } from './sealing.service';

@Global()
@Module({
  controllers: [RecordController, RecordProofsController, AttachmentController],
  providers: [
    AttachmentsService,
    ChartPrintService,
    EntriesService,
    RecordErasureService,
    RecordProofsService,
    RecordsService,
    SealingService,
  ],
  exports: [EntriesService, RecordErasureService, SealingService],
})
export class RecordModule {}
