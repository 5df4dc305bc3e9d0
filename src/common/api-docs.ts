import { applyDecorators, HttpCode, SetMetadata, type Type } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiHeader,
  ApiOperation,
  ApiProperty,
  ApiPropertyOptional,
  ApiResponse,
  ApiTags,
  getSchemaPath,
  ApiExtraModels,
} from '@nestjs/swagger';
import { ENROLLING_KEY, IDEMPOTENT_KEY, RECENT_SIGN_IN_KEY } from './actor';
import { PROBLEMS, type ProblemCode } from './errors';

/** One element at fault. */
export class ProblemElement {
  /** For example `resource.code.coding[0].system`. */
  @ApiProperty({ example: 'note' }) path!: string;
  /** The rule that was broken. */
  @ApiProperty({ example: 'note must be a string' }) message!: string;
}

/** RFC 9457 problem, `application/problem+json`. */
export class Problem {
  @ApiProperty({ example: 'urn:bjwt-ehr:problem:not_found' }) type!: string;
  @ApiProperty() title!: string;
  @ApiProperty({ example: 404 }) status!: number;
  @ApiProperty() detail!: string;
  @ApiProperty({ enum: Object.keys(PROBLEMS) }) code!: string;
  @ApiProperty() requestId!: string;
  @ApiPropertyOptional({ type: () => [ProblemElement] }) errors?: ProblemElement[];
  @ApiPropertyOptional({ type: 'object', additionalProperties: { type: 'string' } }) links?: Record<string, string>;
}

export interface ApiOptions {
  /** Success status; 200 unless told. */
  status?: number;
  /** Open to callers without a token. */
  open?: boolean;
  /** Problem codes beyond those that every route has. */
  problems?: readonly ProblemCode[];
  /** The route creates something and accepts `Idempotency-Key`. */
  idempotent?: boolean;
  /** The caller must have signed in within the last five minutes: for acts that a stolen token must not do (SEC-45). */
  recentSignIn?: boolean;
  /** Open also to somebody whose role needs a second factor and who has none yet. */
  enrolling?: boolean;
  /** Another form that the success answer may have. */
  or?: Type;
  /** Content type of the success answer when it is not JSON. */
  produces?: string;
}

const ALWAYS: readonly ProblemCode[] = ['invalid_request', 'too_many_requests', 'internal_error', 'unavailable'];
const GUARDED: readonly ProblemCode[] = ['unauthenticated', 'forbidden'];
const ENROLLED: readonly ProblemCode[] = ['second_factor_required'];
const RETRIED: readonly ProblemCode[] = ['idempotency_key_reused'];
const STALE: readonly ProblemCode[] = ['insufficient_user_authentication'];

function problemResponses(codes: readonly ProblemCode[]): MethodDecorator[] {
  const byStatus = new Map<number, string[]>();
  for (const code of codes) byStatus.set(PROBLEMS[code][0], [...(byStatus.get(PROBLEMS[code][0]) ?? []), code]);
  return [...byStatus].map(([status, found]) =>
    ApiResponse({
      status,
      description: found.map((code) => `\`${code}\``).join(', '),
      content: { 'application/problem+json': { schema: { $ref: getSchemaPath(Problem) } } },
    }),
  );
}

/** Documents a route: its tag, its summary, its answer (null: no body) and its problems; sets the success status. */
export function Api(tag: string, summary: string, answer: Type | [Type] | null, options: ApiOptions = {}): MethodDecorator {
  const status = options.status ?? 200;
  const body = options.produces
    ? { content: { [options.produces]: { schema: { type: 'string' as const, format: 'binary' } } } }
    : answer === null
      ? {}
      : options.or
        ? { schema: { oneOf: [answer, options.or].flat().map((type) => ({ $ref: getSchemaPath(type) })) } }
        : { type: answer };
  return applyDecorators(
    ApiTags(tag),
    ApiOperation({ summary: options.recentSignIn ? `${summary} (needs a recent sign-in)` : summary }),
    HttpCode(status),
    ApiExtraModels(Problem, ...(options.or && answer ? [answer, options.or].flat() : [])),
    ApiResponse({ status, description: 'Done', ...body }),
    ...problemResponses([
      ...ALWAYS,
      ...(options.open ? [] : GUARDED),
      ...(options.open || options.enrolling ? [] : ENROLLED),
      ...(options.recentSignIn ? STALE : []),
      ...(options.idempotent ? RETRIED : []),
      ...(options.problems ?? []),
    ]),
    ...(options.enrolling ? [SetMetadata(ENROLLING_KEY, true)] : []),
    ...(options.recentSignIn ? [SetMetadata(RECENT_SIGN_IN_KEY, true)] : []),
    ...(options.open ? [] : [ApiBearerAuth()]),
    ...(options.idempotent
      ? [
          SetMetadata(IDEMPOTENT_KEY, true),
          ApiHeader({
            name: 'Idempotency-Key',
            required: false,
            description: 'Makes a retried request have one effect; the repeated answer carries `Idempotency-Replayed: true`',
          }),
        ]
      : []),
  );
}
