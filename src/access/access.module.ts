import { Global, Module } from '@nestjs/common';
import { AccessService } from './access.service';
import { ConsentsService } from './consents.service';

@Global()
@Module({ providers: [AccessService, ConsentsService], exports: [AccessService, ConsentsService] })
export class AccessModule {}
