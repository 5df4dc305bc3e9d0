import { AuditEventEntity } from './audit/audit-event.entity';
import { ConsentEntity, ConsentRuleEntity } from './access/consent.entity';
import { AccountEntity } from './auth/account.entity';
import { IdempotencyEntity } from './auth/idempotency.entity';
import { KnownDeviceEntity } from './auth/known-device.entity';
import { LoginCounterEntity } from './auth/login-counter.entity';
import { RateCountEntity } from './auth/rate-count.entity';
import { PendingProofEntity, RecoveryCodeEntity, SecondFactorEntity } from './auth/second-factor.entity';
import { RefreshTokenEntity, RevocationEntity, SessionEntity } from './auth/session.entity';
import { SetupOfferEntity } from './auth/setup-offer.entity';
import { cryptoEntities } from './crypto/crypto-entities';
import { QuestionEntity } from './doctor/question.entity';
import { ErasureEntity } from './erasure/erasure.entity';
import { RowSetEntity } from './database/row-set.entity';
import { DirectoryEntity } from './fhir/directory.entity';
import { EnrolmentEntity, HospitalEntity, StaffEntity } from './hospital/hospital.entity';
import { AuthorKeyEntity, BlockEntity, ChainEntity, ContentEntity, KeyEventEntity, PreparationEntity } from './ledger/ledger.entity';
import { TrailBatchEntity } from './ledger/trail-batch.entity';
import { PatientEntity } from './patient/patient.entity';
import { PatientSearchEntity } from './patient/patient-search.entity';
import { AttachmentChunkEntity, AttachmentEntity, RecordEntity } from './record/record.entity';
import {
  CheckpointEntity,
  CosignatureEntity,
  IncarnationEntity,
  LeafEntity,
  LogEntity,
  PendingEntity,
  TileEntity,
} from './tlog/tlog.entity';
import { WitnessCheckpointEntity } from './witness/witness.entity';

/** Every table of the system, for ormconfig.ts. */
export const entities = [
  ...cryptoEntities,
  RowSetEntity,
  AuditEventEntity,
  AccountEntity,
  SessionEntity,
  RefreshTokenEntity,
  RevocationEntity,
  SetupOfferEntity,
  SecondFactorEntity,
  RecoveryCodeEntity,
  PendingProofEntity,
  IdempotencyEntity,
  KnownDeviceEntity,
  LoginCounterEntity,
  RateCountEntity,
  HospitalEntity,
  StaffEntity,
  EnrolmentEntity,
  ConsentEntity,
  ConsentRuleEntity,
  LogEntity,
  PendingEntity,
  LeafEntity,
  TileEntity,
  CheckpointEntity,
  CosignatureEntity,
  IncarnationEntity,
  WitnessCheckpointEntity,
  ChainEntity,
  BlockEntity,
  ContentEntity,
  AuthorKeyEntity,
  TrailBatchEntity,
  KeyEventEntity,
  PreparationEntity,
  PatientEntity,
  PatientSearchEntity,
  RecordEntity,
  AttachmentEntity,
  AttachmentChunkEntity,
  QuestionEntity,
  ErasureEntity,
  DirectoryEntity,
];
