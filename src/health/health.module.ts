import { Module } from '@nestjs/common';
import { ConnectionsService } from './connections.service';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';
import { MetricsGuard } from './metrics.guard';

@Module({
  controllers: [HealthController],
  providers: [ConnectionsService, HealthService, MetricsGuard],
  exports: [ConnectionsService, HealthService],
})
export class HealthModule {}
