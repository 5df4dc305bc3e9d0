import { Global, Module } from '@nestjs/common';
import { AttachmentController } from './attachment.controller';
import { AttachmentsService } from './attachments.service';
import { ChartPrintService } from './chart-print.service';
import { EntriesService } from './entries.service';
import { RecordController } from './record.controller';
import { RecordErasureService } from './record-erasure.service';
import { RecordsService } from './records.service';
import { SealingService } from './sealing.service';

@Global()
@Module({
  controllers: [RecordController, AttachmentController],
  providers: [AttachmentsService, ChartPrintService, EntriesService, RecordErasureService, RecordsService, SealingService],
  exports: [EntriesService, RecordErasureService, SealingService],
})
export class RecordModule {}
