import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Public, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam, OwnIdParam, RequestId } from '../common/params';
import { PageQuery } from '../common/page';
import { PendingResponse } from '../auth/auth.dto';
import { Guessable } from '../auth/guards';
import {
  AddedStaffResponse,
  CreatedHospitalResponse,
  CreateHospitalDto,
  DepartureDto,
  HospitalPage,
  HospitalResponse,
  RegisterDoctorDto,
  StaffPage,
  StaffProfileDto,
  StaffResponse,
} from './hospital.dto';
import { HospitalsService } from './hospitals.service';
import { StaffService } from './staff.service';

@Controller()
export class HospitalController {
  constructor(
    private readonly hospitals: HospitalsService,
    private readonly staff: StaffService,
  ) {}

  @Post('auth/register/doctor')
  @Public()
  @Guessable()
  @Api('auth', 'A doctor registers; the hospital approves', PendingResponse, {
    status: 202,
    open: true,
    problems: ['password_unacceptable'],
  })
  register(@Body() dto: RegisterDoctorDto, @RequestId() requestId: string): Promise<PendingResponse> {
    return this.staff.register(dto, requestId);
  }

  @Post('hospitals')
  @Roles('ADMIN')
  @Api('hospitals', 'Adds a hospital and gives the one-time code for its login', CreatedHospitalResponse, { status: 201, idempotent: true })
  create(@CurrentActor() actor: Actor, @Body() dto: CreateHospitalDto): Promise<CreatedHospitalResponse> {
    return this.hospitals.create(actor, dto);
  }

  @Get('hospitals')
  @Public()
  @Api('hospitals', 'All hospitals: whoever registers must be able to choose one', HospitalPage, { open: true })
  list(@Query() query: PageQuery): Promise<HospitalPage> {
    return this.hospitals.list(query);
  }

  @Get('hospitals/:id')
  @Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
  @Api('hospitals', 'One hospital', HospitalResponse, { problems: ['not_found'] })
  read(@OwnIdParam('id') id: string): Promise<HospitalResponse> {
    return this.hospitals.read(id);
  }

  @Get('hospitals/:id/staff')
  @Roles('HOSPITAL')
  @Api('hospitals', 'The health workers, also those who left', StaffPage, { problems: ['not_found'] })
  listStaff(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: PageQuery): Promise<StaffPage> {
    return this.staff.list(actor, id, query);
  }

  @Post('hospitals/:id/staff')
  @Roles('HOSPITAL')
  @Api('hospitals', 'Adds a doctor and gives the one-time code for the login', AddedStaffResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found'],
  })
  addStaff(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Body() dto: StaffProfileDto): Promise<AddedStaffResponse> {
    return this.staff.add(actor, id, dto);
  }

  @Post('hospitals/:id/staff/:doctorId/departure')
  @Roles('HOSPITAL')
  @Api('hospitals', 'Records that a worker leaves: the login ends at once, the history stays', StaffResponse, {
    problems: ['not_found', 'conflict'],
  })
  depart(
    @CurrentActor() actor: Actor,
    @OwnIdParam('id') id: string,
    @IdParam('doctorId') doctorId: string,
    @Body() dto: DepartureDto,
  ): Promise<StaffResponse> {
    return this.staff.depart(actor, id, doctorId, dto);
  }
}
