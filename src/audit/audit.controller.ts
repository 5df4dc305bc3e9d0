import { Controller, Get, Query } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { ActivityQuery, ActivityResponse, AuditEventPage, AuditQuery } from './audit.dto';
import { TrailService } from './trail.service';

@Controller()
export class AuditController {
  constructor(private readonly trail: TrailService) {}

  @Get('audit/events')
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR')
  @Api('audit', 'The trail, newest first; a hospital sees its own part', AuditEventPage)
  events(@CurrentActor() actor: Actor, @Query() query: AuditQuery): Promise<AuditEventPage> {
    return this.trail.events(actor, query);
  }

  @Get('activity')
  @Roles('ADMIN', 'HOSPITAL', 'AUDITOR')
  @Api('audit', 'What was added and changed on one day: counts, not content', ActivityResponse)
  activity(@CurrentActor() actor: Actor, @Query() query: ActivityQuery): Promise<ActivityResponse> {
    return this.trail.activity(actor, query.date);
  }
}
