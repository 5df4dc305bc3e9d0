import { Controller, Get, Header, Param, Query, StreamableFile } from '@nestjs/common';
import { Public } from '../common/actor';
import { Api } from '../common/api-docs';
import { IdParam } from '../common/params';
import { PublicationService } from './publication.service';
import { ConsistencyQuery, LogsResponse } from './tlog.dto';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
/** A checkpoint is replaced each second; a tile never changes (C2SP tlog-tiles). */
const SHORT = 'public, max-age=1';
const FOR_EVER = 'public, max-age=31536000, immutable';

/** Open to everybody: who verifies us must not need our permission. `/ledger/…` without a hospital serves a server that has just one. */
@Controller('ledger')
@Public()
export class TlogController {
  constructor(private readonly publication: PublicationService) {}

  @Get('logs')
  @Api('ledger', 'The transparency logs of this server and their keys', LogsResponse, { open: true })
  logs(): Promise<LogsResponse> {
    return this.publication.logs();
  }

  @Get('checkpoint')
  @Header('content-type', TEXT)
  @Header('cache-control', SHORT)
  @Api('ledger', 'The newest checkpoint of the only hospital (C2SP tlog-checkpoint)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['not_found'],
  })
  checkpoint(): Promise<string> {
    return this.publication.checkpoint();
  }

  @Get('logs/:hospitalId/checkpoint')
  @Header('content-type', TEXT)
  @Header('cache-control', SHORT)
  @Api('ledger', 'The newest checkpoint of a hospital’s log (C2SP tlog-checkpoint)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['not_found'],
  })
  checkpointOf(@IdParam('hospitalId') hospitalId: string): Promise<string> {
    return this.publication.checkpoint(hospitalId);
  }

  @Get('logs/:hospitalId/policy')
  @Header('content-type', TEXT)
  @Api('ledger', 'Keys and quorum to verify receipts with (C2SP tlog-policy)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['not_found'],
  })
  policyOf(@IdParam('hospitalId') hospitalId: string): Promise<string> {
    return this.publication.policyText(hospitalId);
  }

  @Get('logs/:hospitalId/consistency')
  @Header('content-type', TEXT)
  @Api('ledger', 'Proof that a hospital’s log only grew from one size to another (lines of C2SP tlog-witness)', null, {
    open: true,
    produces: 'text/plain',
    problems: ['not_found'],
  })
  consistency(@IdParam('hospitalId') hospitalId: string, @Query() { from, to }: ConsistencyQuery): Promise<string> {
    return this.publication.consistency(hospitalId, from, to);
  }

  @Get('tile/*')
  @Header('cache-control', FOR_EVER)
  @Api('ledger', 'A tile or entry bundle of the only hospital’s log (C2SP tlog-tiles)', null, {
    open: true,
    produces: BYTES,
    problems: ['not_found'],
  })
  tile(@Param('*') path: string): Promise<StreamableFile> {
    return this.file(path);
  }

  @Get('logs/:hospitalId/tile/*')
  @Header('cache-control', FOR_EVER)
  @Api('ledger', 'A tile or entry bundle of a hospital’s log (C2SP tlog-tiles)', null, {
    open: true,
    produces: BYTES,
    problems: ['not_found'],
  })
  tileOf(@IdParam('hospitalId') hospitalId: string, @Param('*') path: string): Promise<StreamableFile> {
    return this.file(path, hospitalId);
  }

  private async file(path: string, hospitalId?: string): Promise<StreamableFile> {
    const bytes = await this.publication.tile(path, hospitalId);
    return new StreamableFile(bytes, { type: BYTES });
  }
}
