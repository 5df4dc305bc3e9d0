import { IsIn, IsOptional, IsString, Length } from 'class-validator';
import { PageQuery } from '../common/page';
import { StaffResponse } from '../hospital/hospital.dto';
import { RecordSummaryResponse, SealedPlace } from '../record/record.dto';

export class AskDto {
  /** @example "Since when do you feel the pain in the chest?" */
  @IsString()
  @Length(1, 2000)
  text!: string;
}

export class AnswerDto {
  /** @example "Since Monday, mostly when I climb stairs." */
  @IsString()
  @Length(1, 5000)
  text!: string;
}

export class QuestionQuery extends PageQuery {
  @IsOptional()
  @IsIn(['open', 'answered'])
  status?: 'open' | 'answered';
}

export class QuestionResponse {
  id!: string;
  patientId!: string;
  doctorId!: string;
  doctorName!: string | null;
  text!: string;
  status!: string;
  askedAt!: string;
  answeredAt!: string | null;
  answer!: string | null;
  /** The sealed record of the answer. */
  answerRecordId!: string | null;
}

export class QuestionPage {
  items!: QuestionResponse[];
  nextCursor!: string | null;
}

export class AnsweredResponse {
  question!: QuestionResponse;
  sealed!: SealedPlace;
}

export class EntryCountResponse {
  kind!: string;
  status!: string;
  count!: number;
}

/** A health worker and what the worker added. */
export class DossierResponse {
  staff!: StaffResponse;
  counts!: EntryCountResponse[];
  /** The latest entries, newest first; the rest is in the hospital's list of entries. */
  latest!: RecordSummaryResponse[];
}

/** What waits for a doctor. */
export class WorklistResponse {
  /** Own drafts that are not sealed yet. */
  drafts!: RecordSummaryResponse[];
  /** Own questions without an answer. */
  openQuestions!: number;
}
