import { Module } from '@nestjs/common';
import { HealthController } from './health.controller';
import { HealthService } from './health.service';
import { MetricsGuard } from './metrics.guard';

@Module({ controllers: [HealthController], providers: [HealthService, MetricsGuard], exports: [HealthService] })
export class HealthModule {}
