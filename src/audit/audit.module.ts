import { Global, Module } from '@nestjs/common';
import { AuditController } from './audit.controller';
import { AuditService } from './audit.service';
import { TrailService } from './trail.service';

@Global()
@Module({ controllers: [AuditController], providers: [AuditService, TrailService], exports: [AuditService, TrailService] })
export class AuditModule {}
