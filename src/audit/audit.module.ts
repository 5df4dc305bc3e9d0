import { Global, Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { AuditController } from './audit.controller';
import { AuditService } from './audit.service';
import { RefusalsInterceptor } from './refusals.interceptor';
import { TrailService } from './trail.service';

@Global()
@Module({
  controllers: [AuditController],
  providers: [AuditService, TrailService, { provide: APP_INTERCEPTOR, useClass: RefusalsInterceptor }],
  exports: [AuditService, TrailService],
})
export class AuditModule {}
