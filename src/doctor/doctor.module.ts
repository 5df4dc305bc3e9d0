import { Module } from '@nestjs/common';
import { DoctorController } from './doctor.controller';
import { DoctorsService } from './doctors.service';
import { QuestionsService } from './questions.service';

@Module({ controllers: [DoctorController], providers: [DoctorsService, QuestionsService], exports: [QuestionsService] })
export class DoctorModule {}
