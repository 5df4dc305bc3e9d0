import type { TraceSettings } from '../common/otlp';
import { ConfigError, type Env, flag, list, oneOf, text } from './variables';

/** A token of RFC 9110, section 5.6.2. */
const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;

/** Pairs as OpenTelemetry writes them: `key=value,key=value`, percent-encoded. */
function pairs(env: Env, name: string): Record<string, string> {
  try {
    return Object.fromEntries(
      list(env, name).map((item) => {
        const [key = '', ...value] = item.split('=');
        if (!NAME.test(key.trim()) || value.length === 0) throw new URIError();
        return [key.trim(), decodeURIComponent(value.join('=').trim())];
      }),
    );
  } catch {
    throw new ConfigError(name, 'must be key=value pairs, comma separated');
  }
}

/** Traces as OpenTelemetry names their settings; null unless they were asked for. */
export function traceSettings(env: Env): TraceSettings | null {
  if (!flag(env, 'OTEL_ENABLED', false)) return null;
  const endpoint = text(env, 'OTEL_EXPORTER_OTLP_ENDPOINT', 'http://localhost:4318');
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new ConfigError('OTEL_EXPORTER_OTLP_ENDPOINT', 'must be an address like http://localhost:4318');
  const sampler = oneOf(env, 'OTEL_TRACES_SAMPLER', 'parentbased_always_on', ['parentbased_always_on', 'parentbased_traceidratio']);
  const ratio = env['OTEL_TRACES_SAMPLER_ARG'] ?? '1';
  if (!/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/.test(ratio)) throw new ConfigError('OTEL_TRACES_SAMPLER_ARG', 'must be a number from 0 to 1');
  return {
    url: `${endpoint.endsWith('/') ? endpoint.slice(0, -1) : endpoint}/v1/traces`,
    headers: pairs(env, 'OTEL_EXPORTER_OTLP_HEADERS'),
    serviceName: text(env, 'OTEL_SERVICE_NAME', 'bjwt-ehr'),
    resource: pairs(env, 'OTEL_RESOURCE_ATTRIBUTES'),
    ratio: sampler === 'parentbased_always_on' ? 1 : Number(ratio),
  };
}
