import { Body, Controller, Delete, Get, Post, Put, Query, Res, StreamableFile, UseInterceptors } from '@nestjs/common';
import { ApiBody, ApiHeader } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { EtagInterceptor } from '../common/etag.interceptor';
import { ExactMember, OptionalText } from '../common/exact-body';
import { IfMatch } from '../common/if-match';
import { IdParam, OwnIdParam } from '../common/params';
import { ChartPrintService } from './chart-print.service';
import { EntriesService } from './entries.service';
import {
  AttestationResponse,
  CorrectionDto,
  DiagnosisDto,
  EntriesPage,
  EntriesQuery,
  RecordPage,
  RecordQuery,
  RecordResponse,
  ResourceDto,
  SealDto,
  SealQuery,
  SealResponse,
  SignedCorrectionDto,
} from './record.dto';
import { RecordsService } from './records.service';
import { SealingService } from './sealing.service';

const IF_MATCH = ApiHeader({ name: 'If-Match', required: true, description: 'The version that was read, as "1"' });

@Controller()
export class RecordController {
  constructor(
    private readonly records: RecordsService,
    private readonly sealing: SealingService,
    private readonly entries: EntriesService,
    private readonly prints: ChartPrintService,
  ) {}

  @Post('patients/:id/diagnoses')
  @Roles('DOCTOR')
  @UseInterceptors(EtagInterceptor)
  @Api('records', 'Drafts a diagnosis (a FHIR Condition)', RecordResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found', 'erased', 'invalid_resource'],
  })
  diagnose(@CurrentActor() actor: Actor, @IdParam('id') id: string, @Body() dto: DiagnosisDto): Promise<RecordResponse> {
    return this.records.createDiagnosis(actor, id, dto);
  }

  @Post('patients/:id/records')
  @Roles('DOCTOR')
  @UseInterceptors(EtagInterceptor)
  @Api('records', 'Drafts any clinical FHIR R4 resource', RecordResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found', 'erased', 'invalid_resource'],
  })
  create(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Body() _dto: ResourceDto,
    @ExactMember('resource') text: string,
  ): Promise<RecordResponse> {
    return this.records.create(actor, id, text);
  }

  @Get('patients/:id/records')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @Api('records', 'A patient’s records with their content, oldest first; `me` is the own record', RecordPage, {
    problems: ['not_found', 'erased', 'integrity_error'],
  })
  list(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: RecordQuery): Promise<RecordPage> {
    return this.records.list(actor, id, query);
  }

  @Get('patients/:id/print')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @Api('records', 'The sealed record on paper, with the head of the chain and its receipt as QR codes', null, {
    produces: 'application/pdf',
    problems: ['not_found', 'erased', 'integrity_error'],
  })
  async print(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<StreamableFile> {
    return new StreamableFile(await this.prints.print(actor, id), {
      type: 'application/pdf',
      disposition: 'inline; filename="record.pdf"',
    });
  }

  @Get('hospitals/:id/entries')
  @Roles('HOSPITAL')
  @Api('hospitals', 'Everything that the hospital’s professionals added, newest first', EntriesPage, { problems: ['not_found'] })
  entriesOf(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: EntriesQuery): Promise<EntriesPage> {
    return this.entries.list(actor, id, query);
  }

  @Get('records/:id')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @UseInterceptors(EtagInterceptor)
  @Api('records', 'One record with its content and what corrects it', RecordResponse, {
    problems: ['not_found', 'erased', 'integrity_error'],
  })
  read(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<RecordResponse> {
    return this.records.read(actor, id);
  }

  @Get('records/:id/content')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @Api('records', 'The exact bytes that were sealed', null, {
    produces: 'application/fhir+json',
    problems: ['not_found', 'erased', 'integrity_error'],
  })
  async content(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const bytes = await this.records.content(actor, id);
    void reply.type('application/fhir+json');
    return new StreamableFile(bytes, { type: 'application/fhir+json' });
  }

  @Put('records/:id')
  @Roles('DOCTOR')
  @UseInterceptors(EtagInterceptor)
  @IF_MATCH
  @Api('records', 'Replaces the content of a draft; only its author, never after sealing', RecordResponse, {
    problems: ['not_found', 'erased', 'record_sealed', 'version_stale', 'version_required', 'invalid_resource'],
  })
  update(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @IfMatch() version: number,
    @Body() _dto: ResourceDto,
    @ExactMember('resource') text: string,
  ): Promise<RecordResponse> {
    return this.records.update(actor, id, version, text);
  }

  @Delete('records/:id')
  @Roles('DOCTOR', 'HOSPITAL')
  @IF_MATCH
  @Api('records', 'Deletes a draft and its files; never after sealing', null, {
    status: 204,
    problems: ['not_found', 'erased', 'record_sealed', 'version_stale', 'version_required'],
  })
  remove(@CurrentActor() actor: Actor, @IdParam('id') id: string, @IfMatch() version: number): Promise<void> {
    return this.records.remove(actor, id, version);
  }

  @Post('records/:id/attestation')
  @Roles('DOCTOR')
  @Api('records', 'What the author of a draft signs who holds the own key', AttestationResponse, {
    status: 201,
    problems: ['not_found', 'erased', 'record_sealed', 'conflict', 'log_halted'],
  })
  attestation(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AttestationResponse> {
    return this.sealing.prepare(actor, id);
  }

  @Post('records/:id/seal')
  @Roles('DOCTOR')
  @ApiBody({ type: SealDto, required: false })
  @Api('records', 'Seals a draft into the patient’s chain: from now on nothing changes it', SealResponse, {
    status: 201,
    problems: [
      'not_found',
      'erased',
      'record_sealed',
      'conflict',
      'client_signature_required',
      'version_stale',
      'invalid_attestation',
      'log_halted',
    ],
  })
  seal(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Query() query: SealQuery,
    @OptionalText('attestation') attestation: string | undefined,
  ): Promise<SealResponse> {
    return this.sealing.seal(actor, id, query.wait, attestation);
  }

  @Post('records/:id/corrections/attestation')
  @Roles('DOCTOR')
  @Api('records', 'What the author of a correction signs who holds the own key', AttestationResponse, {
    status: 201,
    problems: ['not_found', 'erased', 'conflict', 'invalid_resource', 'log_halted'],
  })
  attestationOfCorrection(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Body() dto: CorrectionDto,
    @ExactMember('resource') text: string | undefined,
  ): Promise<AttestationResponse> {
    return this.sealing.prepareCorrection(actor, id, dto, text);
  }

  @Post('records/:id/corrections')
  @Roles('DOCTOR')
  @Api('records', 'Adds to, corrects or retracts a sealed record by a new sealed record', SealResponse, {
    status: 201,
    idempotent: true,
    problems: [
      'not_found',
      'erased',
      'conflict',
      'client_signature_required',
      'version_stale',
      'invalid_resource',
      'invalid_attestation',
      'log_halted',
    ],
  })
  correct(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @Query() query: SealQuery,
    @Body() dto: SignedCorrectionDto,
    @ExactMember('resource') text: string | undefined,
  ): Promise<SealResponse> {
    return this.sealing.correct(actor, id, dto, text, query.wait);
  }
}
