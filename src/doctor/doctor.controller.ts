import { Body, Controller, Get, Post, Query, StreamableFile } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam, OwnIdParam } from '../common/params';
import { StaffResponse } from '../hospital/hospital.dto';
import {
  AnswerDto,
  AnsweredResponse,
  AskDto,
  DossierResponse,
  QuestionPage,
  QuestionQuery,
  QuestionResponse,
  WorklistResponse,
} from './doctor.dto';
import { DoctorsService } from './doctors.service';
import { QuestionsService } from './questions.service';

@Controller()
export class DoctorController {
  constructor(
    private readonly doctors: DoctorsService,
    private readonly questions: QuestionsService,
  ) {}

  @Get('doctors/me/worklist')
  @Roles('DOCTOR')
  @Api('doctors', 'Own drafts that wait to be sealed, and questions that wait for an answer', WorklistResponse)
  worklist(@CurrentActor() actor: Actor): Promise<WorklistResponse> {
    return this.doctors.worklist(actor);
  }

  @Get('doctors/:id')
  @Roles('DOCTOR', 'HOSPITAL')
  @Api('doctors', 'A doctor, seen by the own hospital or by the doctor (`me`)', StaffResponse, { problems: ['not_found'] })
  read(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<StaffResponse> {
    return this.doctors.read(actor, id);
  }

  @Get('doctors/:id/print')
  @Roles('DOCTOR', 'HOSPITAL')
  @Api('doctors', 'A doctor’s information on paper', null, { produces: 'application/pdf', problems: ['not_found'] })
  async print(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string): Promise<StreamableFile> {
    return new StreamableFile(await this.doctors.print(actor, id), {
      type: 'application/pdf',
      disposition: 'inline; filename="doctor.pdf"',
    });
  }

  @Get('hospitals/:id/staff/:doctorId/dossier')
  @Roles('HOSPITAL')
  @Api('hospitals', 'A health worker and what the worker added, also after leaving', DossierResponse, { problems: ['not_found'] })
  dossier(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @IdParam('doctorId') doctorId: string): Promise<DossierResponse> {
    return this.doctors.dossier(actor, id, doctorId);
  }

  @Post('patients/:id/questions')
  @Roles('DOCTOR')
  @Api('questions', 'Asks a patient', QuestionResponse, { status: 201, idempotent: true, problems: ['not_found', 'erased'] })
  ask(@CurrentActor() actor: Actor, @IdParam('id') id: string, @Body() dto: AskDto): Promise<QuestionResponse> {
    return this.questions.ask(actor, id, dto.text);
  }

  @Get('patients/:id/questions')
  @Roles('DOCTOR', 'HOSPITAL', 'PATIENT')
  @Api('questions', 'Questions to a patient and the answers; `me` is the own list', QuestionPage, { problems: ['not_found', 'erased'] })
  list(@CurrentActor() actor: Actor, @OwnIdParam('id') id: string, @Query() query: QuestionQuery): Promise<QuestionPage> {
    return this.questions.list(actor, id, query);
  }

  @Post('questions/:id/answer')
  @Roles('PATIENT')
  @Api('questions', 'Answers a question; the answer is sealed', AnsweredResponse, {
    status: 201,
    idempotent: true,
    problems: ['not_found', 'erased', 'conflict'],
  })
  answer(@CurrentActor() actor: Actor, @IdParam('id') id: string, @Body() dto: AnswerDto): Promise<AnsweredResponse> {
    return this.questions.answer(actor, id, dto.text);
  }
}
