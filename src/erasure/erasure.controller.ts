import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { PageQuery } from '../common/page';
import { IdParam, OwnIdParam } from '../common/params';
import { CertificateResponse, ErasureDto, ErasurePage, ErasureQuery, ErasureResponse } from './erasure.dto';
import { ErasuresService } from './erasures.service';

@Controller()
export class ErasureController {
  constructor(private readonly erasures: ErasuresService) {}

  @Post('patients/:id/erasures')
  @Roles('ADMIN', 'HOSPITAL', 'PATIENT')
  @Api('erasure', 'Asks to erase a sealed record or everything about a patient (`me`)', ErasureResponse, {
    status: 201,
    idempotent: true,
    recentSignIn: true,
    problems: ['not_found', 'conflict', 'erased'],
  })
  request(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Body() dto: ErasureDto): Promise<ErasureResponse> {
    return this.erasures.request(actor, id, dto);
  }

  @Get('patients/:id/erasures')
  @Roles('ADMIN', 'AUDITOR', 'HOSPITAL', 'PATIENT')
  @Api('erasure', 'What was asked to be erased of a patient (`me`), and what became of it, oldest first', ErasurePage, {
    problems: ['not_found'],
  })
  list(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: PageQuery): Promise<ErasurePage> {
    return this.erasures.list(actor, id, query);
  }

  @Get('erasures')
  @Roles('ADMIN', 'HOSPITAL')
  @Api('erasure', 'Erasures by state: what waits for an approval; a hospital sees its own', ErasurePage)
  queue(@CurrentActor() actor: Actor, @Query() query: ErasureQuery): Promise<ErasurePage> {
    return this.erasures.queue(actor, query);
  }

  @Post('erasures/:id/approval')
  @Roles('ADMIN', 'HOSPITAL')
  @Api('erasure', 'Approves; the second of two different accounts erases for good', ErasureResponse, {
    recentSignIn: true,
    problems: ['not_found', 'conflict', 'erased', 'integrity_error'],
  })
  approve(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<ErasureResponse> {
    return this.erasures.approve(actor, id);
  }

  @Post('erasures/:id/refusal')
  @Roles('ADMIN', 'HOSPITAL', 'PATIENT')
  @Api('erasure', 'Refuses what was asked; a patient withdraws the own wish', ErasureResponse, {
    problems: ['not_found', 'conflict', 'erased'],
  })
  refuse(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<ErasureResponse> {
    return this.erasures.refuse(actor, id);
  }

  @Get('erasures/:id/certificate')
  @Roles('ADMIN', 'AUDITOR', 'HOSPITAL', 'PATIENT')
  @Api('erasure', 'The certificate of an executed erasure, to be checked without this server', CertificateResponse, {
    problems: ['not_found', 'conflict', 'integrity_error'],
  })
  certificate(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<CertificateResponse> {
    return this.erasures.certificate(actor, id);
  }
}
