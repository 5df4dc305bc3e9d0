import { Controller, Post, Req } from '@nestjs/common';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { ApiError } from '../common/errors';
import { ImportResponse } from './import.dto';
import { ImportService } from './import.service';

@Controller('imports')
export class ImportController {
  constructor(private readonly imports: ImportService) {}

  @Post()
  @Roles('HOSPITAL', 'DOCTOR')
  @ApiConsumes('application/fhir+json')
  @ApiBody({ schema: { type: 'object', additionalProperties: true, example: { resourceType: 'Bundle', type: 'transaction', entry: [] } } })
  @Api(
    'fhir',
    'Imports a FHIR R4 bundle: one patient with every clinical resource sealed, or a directory; all of it or nothing',
    ImportResponse,
    {
      status: 201,
      idempotent: true,
      problems: [
        'invalid_bundle',
        'malformed_json',
        'already_exists',
        'client_signature_required',
        'body_too_large',
        'unsupported_media_type',
      ],
    },
  )
  importBundle(@CurrentActor() actor: Actor, @Req() request: FastifyRequest): Promise<ImportResponse> {
    if (request.rawText === undefined) throw new ApiError('unsupported_media_type', 'Send the bundle as application/fhir+json');
    return this.imports.importBundle(actor, request.rawText);
  }
}
