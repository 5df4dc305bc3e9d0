import { Module } from '@nestjs/common';
import { DoctorModule } from '../doctor/doctor.module';
import { ErasedKeysService } from './erased-keys.service';
import { ErasingService } from './erasing.service';
import { ErasureController } from './erasure.controller';
import { ErasuresService } from './erasures.service';
import { PurgeService } from './purge.service';

@Module({
  imports: [DoctorModule],
  controllers: [ErasureController],
  providers: [ErasedKeysService, ErasingService, ErasuresService, PurgeService],
})
export class ErasureModule {}
