import { Controller, Get, Header, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiParam, ApiResponse } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../common/actor';
import { Api } from '../common/api-docs';
import { notFound } from '../common/errors';
import { WitnessService } from './witness.service';

const PLAIN = { schema: { type: 'string' as const } };

/** C2SP tlog-witness, outside of the API's prefix: this is a protocol of others. Its refusals are problems, as everywhere here. */
@Controller('witness')
@Public()
export class WitnessController {
  constructor(private readonly witness: WitnessService) {}

  @Post('add-checkpoint')
  @ApiConsumes('text/plain')
  @ApiBody({ required: true, description: '`old <size>`, a consistency proof, an empty line, a checkpoint', ...PLAIN })
  @ApiResponse({ status: 409, description: 'Another size was cosigned last: this one', content: { 'text/x.tlog.size': PLAIN } })
  @Api('ledger', 'Cosign a checkpoint of another server’s log (C2SP tlog-witness)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['untrusted_signature', 'unknown_log', 'inconsistent_checkpoint'],
  })
  async add(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const answer = await this.witness.add(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    // As bytes: to a text the framework would add a charset, and the specification names the type to the letter.
    await reply.status(answer.status).header('content-type', answer.contentType).send(Buffer.from(answer.body, 'utf8'));
  }

  @Get(':originHash/checkpoint')
  @Header('content-type', 'text/plain; charset=utf-8')
  @ApiParam({ name: 'originHash', description: 'SHA-256 of the log’s origin, lower-case hex' })
  @Api('ledger', 'The checkpoint of a log that this server cosigned last (C2SP tlog-witness)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['not_found'],
  })
  async latest(@Param('originHash') originHash: string): Promise<string> {
    const note = await this.witness.latest(originHash);
    if (note === null) throw notFound();
    return note;
  }
}
