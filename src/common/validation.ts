import { type ArgumentMetadata, ValidationPipe, type ValidationError } from '@nestjs/common';
import { ApiError, type FieldError, invalid } from './errors';
import { formatPath, type JsonPath } from './json-text';

function flatten(errors: readonly ValidationError[], parent: JsonPath): FieldError[] {
  return errors.flatMap((error) => {
    const here = [...parent, /^\d+$/.test(error.property) ? Number(error.property) : error.property];
    const path = formatPath(here); // names are input too: what is no plain name prints as `*`
    const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
      path,
      message: rule === 'whitelistValidation' ? 'should not exist' : message,
    }));
    return [...own, ...flatten(error.children ?? [], here)];
  });
}

/**
 * What class-validator lets through: a body that is no object (it would count as an empty one), null in place of an optional element, and names that
 * every object inherits (`hasOwnProperty`, `__proto__` …), which its whitelist takes for known.
 */
function assertPlain(value: unknown, where: 'body' | 'query'): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(where, 'must be an object');
  for (const [name, item] of Object.entries(value)) {
    if (name in Object.prototype) throw invalid(formatPath([name]), 'should not exist');
    if (item === null) throw invalid(formatPath([name]), 'must not be null');
  }
}

class StrictValidationPipe extends ValidationPipe {
  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body' || metadata.type === 'query') assertPlain(value, metadata.type);
    return super.transform(value, metadata);
  }
}

/** Refuses unknown properties and wrong types; names the path of each element at fault, never its value. */
export function validationPipe(): ValidationPipe {
  return new StrictValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    transform: true,
    validationError: { target: false, value: false },
    exceptionFactory: (errors) => new ApiError('invalid_request', 'One or more elements are not valid', { errors: flatten(errors, []) }),
  });
}
