import { Injectable } from '@nestjs/common';

/** The one source of time. Milliseconds since the Unix epoch, as in every stored instant. Tests replace it. */
@Injectable()
export class Clock {
  now(): number {
    return Date.now();
  }
}

/** ISO 8601 in UTC with milliseconds, the form of every instant in an answer. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** The same for an instant that may be absent. */
export function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
