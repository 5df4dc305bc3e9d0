import { Controller, Get, Header, UseGuards } from '@nestjs/common';
import { Public } from '../common/actor';
import { Api } from '../common/api-docs';
import { HealthResponse } from './health.dto';
import { HealthService } from './health.service';
import { MetricsGuard } from './metrics.guard';
import { MetricsService } from './metrics.service';

@Controller()
@Public()
export class HealthController {
  constructor(
    private readonly health: HealthService,
    private readonly figures: MetricsService,
  ) {}

  @Get('health/live')
  @Api('operations', 'The process runs', HealthResponse, { open: true })
  live(): HealthResponse {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @Api('operations', 'The database can be read and written', HealthResponse, { open: true })
  async ready(): Promise<HealthResponse> {
    await this.health.check();
    return { status: 'ok' };
  }

  @Get('metrics')
  @UseGuards(MetricsGuard)
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @Api('operations', 'Prometheus metrics', null, { open: true, produces: 'text/plain', problems: ['unauthenticated', 'not_found'] })
  metrics(): Promise<string> {
    return this.figures.metrics();
  }
}
