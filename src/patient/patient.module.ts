import { Global, Module } from '@nestjs/common';
import { AccessLogService } from './access-log.service';
import { ConsentService } from './consent.service';
import { PatientController } from './patient.controller';
import { PatientListService } from './patient-list.service';
import { PatientSearchService } from './patient-search.service';
import { PatientsService } from './patients.service';

@Global()
@Module({
  controllers: [PatientController],
  providers: [AccessLogService, ConsentService, PatientListService, PatientSearchService, PatientsService],
  exports: [PatientsService],
})
export class PatientModule {}
