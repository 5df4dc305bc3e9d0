import { Body, Controller, Delete, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { IssuedCodeResponse, PendingResponse } from '../auth/auth.dto';
import { Guessable } from '../auth/guards';
import { type Actor, CurrentActor, Public, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IfMatch } from '../common/if-match';
import { PageQuery } from '../common/page';
import { IdParam, OwnIdParam, RequestId } from '../common/params';
import { AccessLogService } from './access-log.service';
import { ConsentService } from './consent.service';
import {
  AccessLogPage,
  ConsentGrantDto,
  ConsentResponse,
  EnrolledPatientResponse,
  EnrolPatientDto,
  PatientPage,
  PatientQuery,
  PatientResponse,
  RegisterPatientDto,
  UpdatePatientDto,
} from './patient.dto';
import { PatientListService } from './patient-list.service';
import { PatientsService } from './patients.service';

@Controller()
export class PatientController {
  constructor(
    private readonly patients: PatientsService,
    private readonly lists: PatientListService,
    private readonly consents: ConsentService,
    private readonly accessLog: AccessLogService,
  ) {}

  @Post('auth/register/patient')
  @Public()
  @Guessable()
  @Api('auth', 'A patient registers; the hospital approves', PendingResponse, {
    status: 202,
    open: true,
    problems: ['password_unacceptable'],
  })
  register(@Body() dto: RegisterPatientDto, @RequestId() requestId: string): Promise<PendingResponse> {
    return this.patients.register(dto, requestId);
  }

  @Post('patients')
  @Roles('HOSPITAL', 'DOCTOR')
  @Api('patients', 'Enrols a patient at the own hospital', EnrolledPatientResponse, {
    status: 201,
    idempotent: true,
    problems: ['already_exists'],
  })
  enrol(@CurrentActor() actor: Actor, @Body() dto: EnrolPatientDto): Promise<EnrolledPatientResponse> {
    return this.patients.enrol(actor, dto);
  }

  @Get('patients')
  @Roles('HOSPITAL', 'DOCTOR', 'ADMIN')
  @Api('patients', 'The hospital’s patients; the founder sees masked data', PatientPage)
  list(@CurrentActor() actor: Actor, @Query() query: PatientQuery): Promise<PatientPage> {
    return this.lists.list(actor, query);
  }

  @Get('patients/me/access-log')
  @Roles('PATIENT')
  @Api('own record', 'Who did what with the own record, when and why, newest first', AccessLogPage, { problems: ['not_found', 'erased'] })
  log(@CurrentActor() actor: Actor, @Query() query: PageQuery): Promise<AccessLogPage> {
    return this.accessLog.list(actor, query);
  }

  @Get('patients/me/consent')
  @Roles('PATIENT')
  @Api('own record', 'The active consent contract', ConsentResponse, { problems: ['not_found', 'erased'] })
  consent(@CurrentActor() actor: Actor): Promise<ConsentResponse> {
    return this.consents.read(actor);
  }

  @Post('patients/me/consent/grants')
  @Roles('PATIENT')
  @Api('own record', 'Lets a hospital or doctor elsewhere read the own record for a period; sealed', ConsentResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found', 'erased', 'conflict'],
  })
  permit(@CurrentActor() actor: Actor, @Body() dto: ConsentGrantDto): Promise<ConsentResponse> {
    return this.consents.permit(actor, dto);
  }

  @Delete('patients/me/consent/grants/:ruleId')
  @Roles('PATIENT')
  @Api('own record', 'Withdraws a permission at once; sealed', ConsentResponse, { problems: ['not_found', 'erased'] })
  withdraw(@CurrentActor() actor: Actor, @IdParam('ruleId') ruleId: string): Promise<ConsentResponse> {
    return this.consents.withdraw(actor, ruleId);
  }

  @Get('patients/:id')
  @Roles('HOSPITAL', 'DOCTOR', 'ADMIN', 'PATIENT')
  @Api('patients', 'Administrative data; `me` is the own record, the founder sees masked data', PatientResponse, {
    problems: ['not_found', 'erased'],
  })
  read(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<PatientResponse> {
    return this.patients.read(actor, id);
  }

  @Patch('patients/:id')
  @Roles('HOSPITAL', 'DOCTOR')
  @ApiHeader({ name: 'If-Match', required: true, description: 'The version that was read, as "1"' })
  @Api('patients', 'Changes administrative data', PatientResponse, {
    problems: ['not_found', 'erased', 'version_required', 'version_stale'],
  })
  update(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @IfMatch() version: number,
    @Body() dto: UpdatePatientDto,
  ): Promise<PatientResponse> {
    return this.patients.update(actor, id, version, dto);
  }

  @Post('patients/:id/account')
  @Roles('HOSPITAL') // a doctor with the code could act as the patient
  @Api('patients', 'Issues an account for a patient who has none', IssuedCodeResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found', 'erased', 'conflict'],
  })
  account(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<IssuedCodeResponse> {
    return this.patients.issueAccount(actor, id);
  }
}
