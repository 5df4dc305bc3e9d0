import { assertDocumented } from './openapi';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
  readonly text: string;
  readonly bytes: Buffer;
}

export interface RequestOptions {
  readonly headers?: Record<string, string>;
  /** Sent as it is, with the content type of `headers`. */
  readonly raw?: string | Uint8Array;
}

/** A real HTTP client of the API. Every answer is held against the OpenAPI document. */
export class ApiClient {
  constructor(
    readonly url: string,
    readonly token: string | null,
  ) {}

  withToken(token: string | null): ApiClient {
    return new ApiClient(this.url, token);
  }

  get<T = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Answer<T>> {
    return this.send('GET', path, undefined, options);
  }
  post<T = Record<string, unknown>>(path: string, body?: unknown, options?: RequestOptions): Promise<Answer<T>> {
    return this.send('POST', path, body, options);
  }
  put<T = Record<string, unknown>>(path: string, body: unknown, options?: RequestOptions): Promise<Answer<T>> {
    return this.send('PUT', path, body, options);
  }
  patch<T = Record<string, unknown>>(path: string, body: unknown, options?: RequestOptions): Promise<Answer<T>> {
    return this.send('PATCH', path, body, options);
  }
  delete<T = Record<string, unknown>>(path: string, options?: RequestOptions): Promise<Answer<T>> {
    return this.send('DELETE', path, undefined, options);
  }

  /** `path` is under /api/v1 unless it starts with `//` (then `//health/live` is /health/live). */
  async send<T>(method: string, path: string, body: unknown, options: RequestOptions = {}): Promise<Answer<T>> {
    const address = path.startsWith('//') ? path.slice(1) : `/api/v1${path}`;
    const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(`${this.url}${address}`, {
      method,
      headers: {
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const text = bytes.toString('utf8');
    const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
    const answer = { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : {}) as T, text, bytes };
    assertDocumented(method, address, answer);
    return answer;
  }
}
