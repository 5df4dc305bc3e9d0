import { Controller, Get, Post, Req, StreamableFile } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { type Actor, CurrentActor, Roles } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import { AttachmentsService } from './attachments.service';
import { AttachmentResponse } from './record.dto';
import { uploadOf } from './upload';

@Controller('records/:id/attachments')
export class AttachmentController {
  constructor(private readonly attachments: AttachmentsService) {}

  @Post()
  @Roles('DOCTOR')
  @ApiConsumes('application/octet-stream', 'application/pdf', 'application/dicom', 'image/png', 'image/jpeg', 'text/plain')
  @ApiBody({ schema: { type: 'string', format: 'binary' } })
  @ApiHeader({ name: 'Content-Disposition', required: true, description: 'attachment; filename="xray.png"' })
  @Api('records', 'Attaches a file to a draft; sealing covers it by its hash', AttachmentResponse, {
    status: 201,
    problems: ['not_found', 'erased', 'record_sealed', 'conflict', 'body_too_large', 'unsupported_media_type'],
  })
  add(@CurrentActor() actor: Actor, @IdParam('id') id: string, @Req() request: FastifyRequest): Promise<AttachmentResponse> {
    return this.attachments.add(actor, id, uploadOf(request));
  }

  @Get()
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @Api('records', 'The files of a record', [AttachmentResponse], { problems: ['not_found', 'erased'] })
  list(@CurrentActor() actor: Actor, @IdParam('id') id: string): Promise<AttachmentResponse[]> {
    return this.attachments.list(actor, id);
  }

  @Get(':attachmentId')
  @Roles('HOSPITAL', 'DOCTOR', 'PATIENT')
  @Api('records', 'One file, decrypted and checked', null, {
    produces: 'application/octet-stream',
    problems: ['not_found', 'erased', 'integrity_error'],
  })
  async open(
    @CurrentActor() actor: Actor,
    @IdParam('id') id: string,
    @IdParam('attachmentId') attachmentId: string,
  ): Promise<StreamableFile> {
    const { file, bytes } = await this.attachments.open(actor, id, attachmentId);
    // Always a download and never a page: a stored file must not run in a browser.
    return new StreamableFile(bytes, {
      type: 'application/octet-stream',
      length: file.size,
      disposition: `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
    });
  }
}
