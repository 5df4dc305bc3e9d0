import { Controller, Delete, Get } from '@nestjs/common';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import { DeviceResponse } from './auth.dto';
import { DevicesService } from './devices.service';

@Controller('auth/devices')
@Roles('ADMIN', 'HOSPITAL', 'DOCTOR', 'PATIENT', 'AUDITOR')
export class DevicesController {
  constructor(private readonly devices: DevicesService) {}

  @Get()
  @Api('auth', 'The own known devices: they sign in also while strangers’ guesses have locked the account', [DeviceResponse])
  list(@CurrentActor() actor: Actor): Promise<DeviceResponse[]> {
    return this.devices.list(actor);
  }

  @Delete(':id')
  @Api('auth', 'Forgets one of the own devices', null, { status: 204, problems: ['not_found'] })
  forget(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<void> {
    return this.devices.forget(actor, id);
  }
}
