import { Module } from '@nestjs/common';
import { WitnessController } from './witness.controller';
import { WitnessService } from './witness.service';

/** This server as a witness of the logs of others. */
@Module({ controllers: [WitnessController], providers: [WitnessService] })
export class WitnessModule {}
