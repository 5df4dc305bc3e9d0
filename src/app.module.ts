import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { AccessModule } from './access/access.module';
import { AuditModule } from './audit/audit.module';
import { AuthModule } from './auth/auth.module';
import { ProblemFilter } from './common/problem.filter';
import { validationPipe } from './common/validation';
import type { Config } from './config/config';
import { ConfigModule } from './config/config.module';
import { CryptoModule } from './crypto/crypto.module';
import type { RootKeys } from './crypto/root-keys';
import type { DataSources } from './database/database';
import { DatabaseModule } from './database/database.module';
import { DoctorModule } from './doctor/doctor.module';
import { FhirModule } from './fhir/fhir.module';
import { HealthModule } from './health/health.module';
import { HospitalModule } from './hospital/hospital.module';
import { LedgerModule } from './ledger/ledger.module';
import { PatientModule } from './patient/patient.module';
import { RecordModule } from './record/record.module';
import { TlogModule } from './tlog/tlog.module';
import { WitnessModule } from './witness/witness.module';

/** What exists before the application does. */
export interface Foundations {
  readonly config: Config;
  readonly keys: RootKeys;
  readonly sources: DataSources;
}

/** All modules, in the order of the house. */
@Module({})
export class AppModule {
  static register({ config, keys, sources }: Foundations): DynamicModule {
    const { argon2MemoryKib: memoryKiB, argon2Passes: passes } = config.login;
    return {
      module: AppModule,
      imports: [
        ConfigModule.register(config),
        CryptoModule.register({ useFactory: () => ({ keys, hasher: { memoryKiB, passes, parallelism: 1 } }) }),
        DatabaseModule.register(sources),
        AuditModule,
        AuthModule,
        HospitalModule,
        AccessModule,
        TlogModule,
        LedgerModule,
        WitnessModule,
        PatientModule,
        RecordModule,
        DoctorModule,
        FhirModule,
        HealthModule,
      ],
      providers: [
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useFactory: validationPipe },
      ],
    };
  }
}
