import { Module } from '@nestjs/common';
import { ConnectionsService } from './connections.service';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';
import { MetricsGuard } from './metrics.guard';
import { MetricsService } from './metrics.service';

@Module({
  controllers: [HealthController],
  providers: [ConnectionsService, HealthService, MetricsGuard, MetricsService],
  exports: [ConnectionsService, MetricsService],
})
export class HealthModule {}
