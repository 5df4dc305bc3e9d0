import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import { etag } from './if-match';
import { RawJson } from './raw-json';

/** Sends the version of what is answered as its entity tag, for the next `If-Match`. */
@Injectable()
export class EtagInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      map((answer: unknown) => {
        const body = (answer instanceof RawJson ? answer.parse() : answer) as { version?: unknown } | undefined;
        if (typeof body?.version === 'number') void context.switchToHttp().getResponse<FastifyReply>().header('etag', etag(body.version));
        return answer;
      }),
    );
  }
}
