import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { invalid } from './errors';
import { exactText, formatPath } from './json-text';

/** The exact text of one member of the JSON body, as it was sent: decimals keep their text. Undefined when the member is absent. */
export const ExactMember = createParamDecorator((name: string, context: ExecutionContext): string | undefined => {
  const text = context.switchToHttp().getRequest<FastifyRequest>().rawText;
  return text === undefined ? undefined : exactText(text, [name]);
});

/** The one member, a text, that a body may have which may be absent altogether. Anything else is refused, as every validated body refuses it. */
export const OptionalText = createParamDecorator((name: string, context: ExecutionContext): string | undefined => {
  const { body, rawText } = context.switchToHttp().getRequest<FastifyRequest<{ Body: unknown }>>();
  if (rawText === undefined) return undefined;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('body', 'must be an object');
  const members = Object.entries(body);
  const foreign = members.find(([member]) => member !== name);
  if (foreign) throw invalid(formatPath([foreign[0]]), 'should not exist');
  const value: unknown = members[0]?.[1];
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw invalid(name, 'must be a text');
});
