import { Global, Module } from '@nestjs/common';
import { AttachmentController } from './attachment.controller';
import { AttachmentsService } from './attachments.service';
import { ChartPrintService } from './chart-print.service';
import { EntriesService } from './entries.service';
import { RecordController } from './record.controller';
import { RecordProofsController } from './record-proofs.controller';
import { RecordProofsService } from './record-proofs.service';
import { RecordsService } from './records.service';
import { SealingService } from './sealing.service';

@Global()
@Module({
  controllers: [RecordController, RecordProofsController, AttachmentController],
  providers: [AttachmentsService, ChartPrintService, EntriesService, RecordProofsService, RecordsService, SealingService],
  exports: [EntriesService, SealingService],
})
export class RecordModule {}
