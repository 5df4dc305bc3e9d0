import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { exactText } from './json-text';

/** The exact text of one member of the JSON body, as it was sent: decimals keep their text. Undefined when the member is absent. */
export const ExactMember = createParamDecorator((name: string, context: ExecutionContext): string | undefined => {
  const text = context.switchToHttp().getRequest<FastifyRequest>().rawText;
  return text === undefined ? undefined : exactText(text, [name]);
});
