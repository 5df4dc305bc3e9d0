import { Controller, Get, Header, StreamableFile } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import { BundleResponse } from '../ledger/proofs.dto';
import { RecordProofsService } from './record-proofs.service';

/** What somebody takes away to prove, without this server, what was sealed. */
@Controller('records')
@Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
export class RecordProofsController {
  constructor(private readonly proofs: RecordProofsService) {}

  @Get(':id/receipt')
  @Header('content-type', 'text/plain; charset=utf-8')
  @Header('content-disposition', 'attachment; filename="record.tlog-proof"')
  @Api('records', 'Proof that the record’s block stands in the hospital’s log (C2SP tlog-proof); shows no content', null, {
    produces: 'text/plain',
    problems: ['not_found', 'conflict', 'integrity_error'],
  })
  receipt(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<string> {
    return this.proofs.receipt(actor, id);
  }

  @Get(':id/bundle')
  @Header('content-disposition', 'attachment; filename="record.bundle.json"')
  @Api('records', 'The record with all that proves it, to be verified without this server', BundleResponse, {
    problems: ['not_found', 'conflict', 'integrity_error'],
  })
  async bundle(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<StreamableFile> {
    return new StreamableFile(await this.proofs.bundle(actor, id), { type: 'application/json' });
  }
}
