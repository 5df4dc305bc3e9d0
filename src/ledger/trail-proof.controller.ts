import { Controller, Get } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import { TrailProofResponse } from './ledger.dto';
import { TrailProofsService } from './trail-proofs.service';

@Controller('audit/events')
export class TrailProofController {
  constructor(private readonly proofs: TrailProofsService) {}

  @Get(':id/proof')
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR', 'PATIENT')
  @Api('audit', 'Proof that an event stands in the trail, to keep; a patient gets those of the own access log', TrailProofResponse, {
    problems: ['not_found', 'integrity_error'],
  })
  proof(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<TrailProofResponse> {
    return this.proofs.prove(actor, id);
  }
}
