/**
 * The naive way (P9): the work of a sealed write as one writes it with Nest and TypeORM from their guides: a DTO with a ValidationPipe, a guard that
 * verifies a token with a secret that is a string, `repository.save` in a transaction. Same cryptography, same rows and same SQLite settings as the
 * floor. Arguments: database file, compiled options of our server's SQLite (for its pragmas and its driver).
 */
import 'reflect-metadata';
import {
  type CanActivate,
  Body,
  Controller,
  type ExecutionContext,
  Injectable,
  Module,
  Param,
  Post,
  UnauthorizedException,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';
import type { FastifyRequest } from 'fastify';
import { createCipheriv, createHash, createHmac, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditEvent, Block, Chain, Content, Pending } from './entities';

const [file = '', options = ''] = process.argv.slice(2);
const SECRET = 'a secret that stands in a string, as the guides have it';
const CONTENT_KEY = randomBytes(32);
const COMMIT_KEY = randomBytes(32);
const AUTHOR = generateKeyPairSync('ed25519').privateKey;
const CLAIMS = { sub: '0190a000-0000-7000-8000-000000000001', role: 'DOCTOR' };

class DiagnosisDto {
  @IsString() @Length(1, 64) @Matches(/^\S+(\s\S+)*$/) code!: string;
  @IsString() @Length(1, 500) display!: string;
  @IsOptional() @IsString() @Length(1, 20_000) note?: string;
  @IsOptional() @Matches(/^\d{4}(-\d\d(-\d\d)?)?$/) onset?: string;
  @IsOptional() @IsIn(['mild', 'moderate', 'severe']) severity?: string;
}

@Injectable()
class TokenGuard implements CanActivate {
  constructor(private readonly tokens: JwtService) {}

  canActivate(context: ExecutionContext): boolean {
    const [scheme, token = ''] = (context.switchToHttp().getRequest<FastifyRequest>().headers.authorization ?? '').split(' ');
    try {
      if (scheme === 'Bearer' && this.tokens.verify<typeof CLAIMS>(token).role === 'DOCTOR') return true;
    } catch {
      // a wrong token is no token
    }
    throw new UnauthorizedException();
  }
}

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

@Injectable()
class RecordsService {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly database: DataSource) {}

  /** TypeORM has one SQLite connection: two transactions at once would be one, so they take turns. */
  seal(patientId: string, diagnosis: DiagnosisDto): Promise<Block> {
    const sealed = this.turn.then(() => this.database.transaction((tx) => this.write(tx, patientId, diagnosis)));
    this.turn = sealed.catch(() => undefined);
    return sealed;
  }

  private async write(tx: EntityManager, patientId: string, diagnosis: DiagnosisDto): Promise<Block> {
    const now = new Date();
    const chains = tx.getRepository(Chain);
    const found = await chains.findOneBy({ patientId });
    const chain = found ?? chains.create({ patientId, chainId: randomUUID(), height: -1, headHash: '0'.repeat(64) });
    const recordId = randomUUID();
    const payload = JSON.stringify(diagnosis);
    const commit = createHmac('sha256', COMMIT_KEY).update(payload).digest('hex');
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', CONTENT_KEY, nonce);
    const ciphertext = Buffer.concat([nonce, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
    const claims = Buffer.from(JSON.stringify({ chain: chain.chainId, height: chain.height, seen: chain.headHash, recordId, commit }));
    const attestation = `${claims.toString('base64url')}.${sign(null, claims, AUTHOR).toString('base64url')}`;
    const header = Buffer.from(
      [chain.chainId, chain.height + 1, now.getTime(), chain.headHash, commit, sha256(ciphertext), sha256(attestation)].join('\n'),
    );
    const blockHash = sha256(header);
    const height = chain.height + 1;
    await tx.getRepository(Content).save({ recordId, ciphertext });
    const block = await tx
      .getRepository(Block)
      .save({ chainId: chain.chainId, height, prevHash: chain.headHash, blockHash, header, recordId, attestation });
    await tx.getRepository(Pending).save({ blockHash });
    const event = { at: now, action: 'record.seal', outcome: 'ok', actorId: CLAIMS.sub, patientId, subjectId: recordId };
    await tx.getRepository(AuditEvent).save(event);
    await chains.save({ ...chain, height, headHash: blockHash });
    return block;
  }
}

@Controller('patients')
@UseGuards(TokenGuard)
class RecordsController {
  constructor(private readonly records: RecordsService) {}

  @Post(':id/diagnoses')
  async seal(@Param('id') patientId: string, @Body() diagnosis: DiagnosisDto): Promise<object> {
    const { recordId, height, blockHash } = await this.records.seal(patientId, diagnosis);
    return { recordId, height, blockHash };
  }
}

async function main(): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the compiled server that is measured, so that both run on the same settings
  const { sqliteOptions } = require(options) as typeof import('../../src/database/sqlite-options');
  const source = await new DataSource({
    ...sqliteOptions(file, { entities: [AuditEvent, Block, Chain, Content, Pending], migrations: [] }, false),
    synchronize: true,
  }).initialize();

  @Module({
    imports: [JwtModule.register({ secret: SECRET, signOptions: { expiresIn: '1h' } })],
    controllers: [RecordsController],
    providers: [RecordsService, { provide: DataSource, useValue: source }],
  })
  class AppModule {}

  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: false });
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
  await app.listen(0, '127.0.0.1');
  process.send?.({ url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), token: app.get(JwtService).sign(CLAIMS) });
}

process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
void main();
