import { Global, Module } from '@nestjs/common';
import { EnrolmentsService } from './enrolments.service';
import { HospitalController } from './hospital.controller';
import { HospitalsService } from './hospitals.service';
import { StaffService } from './staff.service';

@Global()
@Module({
  controllers: [HospitalController],
  providers: [EnrolmentsService, HospitalsService, StaffService],
  exports: [EnrolmentsService, HospitalsService, StaffService],
})
export class HospitalModule {}
