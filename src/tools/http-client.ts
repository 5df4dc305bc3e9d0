import { setTimeout as sleep } from 'node:timers/promises';

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface HttpAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON; an empty object for any other body. */
  readonly body: T;
  readonly bytes: Buffer;
}

export interface HttpRequest {
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, with the content type of `headers`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The body of a refusal (RFC 9457), as far as it was given. */
export interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** The sign-in failed; the message says what the server answered, never what was sent. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
}

const MOST_WAITS = 5;
const LONGEST_WAIT_S = 60;

/** A client of the API under `/api/v1`, with or without a sign-in. */
export class HttpClient {
  constructor(
    readonly url: string,
    private tokens: Tokens | null = null,
  ) {}

  /**
   * @param askCode gives the code of the code app, or a recovery code, if the account has a second factor
   * @throws LoginError unless the server gives tokens
   */
  static async login(
    url: string,
    username: string,
    password: string,
    askCode: () => string | Promise<string> = () => '',
  ): Promise<HttpClient> {
    const anonymous = new HttpClient(url);
    let answer = await anonymous.send<Partial<Tokens> & Problem & { mfaToken?: string }>('POST', '/auth/login', {
      json: { username, password },
    });
    const { mfaToken } = answer.body;
    if (mfaToken !== undefined) {
      const code = await askCode();
      const factor = /^\d{6}$/.test(code) ? { totp: code } : { recoveryCode: code };
      answer = await anonymous.send('POST', '/auth/login/second-factor', { json: { mfaToken, ...factor } });
    }
    const { accessToken, refreshToken } = answer.body;
    if (!accessToken || !refreshToken)
      throw new LoginError(`The server refused the sign-in: ${answer.status} ${answer.body.title ?? ''}`.trim());
    return new HttpClient(url, { accessToken, refreshToken });
  }

  /** The answer, whatever its status. An access token that expired is renewed once; rate limits and overload are waited for. @throws TypeError without a connection */
  async send<T = Problem>(method: string, path: string, request: HttpRequest = {}): Promise<HttpAnswer<T>> {
    for (let waits = 0, renewed = false; ;) {
      const answer = await this.once<T>(method, path, request);
      if (answer.status === 401 && !renewed && (await this.renew())) renewed = true;
      else if ((answer.status === 429 || (answer.status === 503 && answer.headers.has('retry-after'))) && waits < MOST_WAITS) {
        waits += 1;
        await sleep(Math.min(Number(answer.headers.get('retry-after') ?? 1) || 1, LONGEST_WAIT_S) * 1000);
      } else return answer;
    }
  }

  /** Asks for new tokens by the refresh token (access tokens live ten minutes). Says whether there are new ones. */
  async renew(): Promise<boolean> {
    if (!this.tokens) return false;
    const json = { refreshToken: this.tokens.refreshToken };
    const answer = await new HttpClient(this.url).once<Tokens>('POST', '/auth/refresh', { json });
    if (answer.status !== 200) return false;
    this.tokens = answer.body;
    return true;
  }

  private async once<T>(method: string, path: string, { json, raw, headers }: HttpRequest): Promise<HttpAnswer<T>> {
    const payload = raw ?? (json === undefined ? undefined : JSON.stringify(json));
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      redirect: 'error', // a redirect could carry the token elsewhere
      headers: {
        ...(this.tokens && { authorization: `Bearer ${this.tokens.accessToken}` }),
        ...(payload !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload !== undefined && { body: payload }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = /json/.test(response.headers.get('content-type') ?? '') && bytes.length > 0;
    return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(bytes.toString('utf8')) : {}) as T, bytes };
  }
}
