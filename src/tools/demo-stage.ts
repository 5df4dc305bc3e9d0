import type { Config } from '../config/config';
import type { DemoConsole } from './demo-console';
import { type HttpAnswer, HttpClient, type HttpRequest, type Problem, type Tokens } from './http-client';

/** Somebody in the story, signed in. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly client: HttpClient;
  readonly tokens: Tokens;
}

/** One request of the story and what must come of it. */
export interface Act<T> {
  readonly who: Person | null;
  /** Who acts, where nobody is signed in. */
  readonly as?: string;
  readonly call: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;
  readonly status: number | readonly number[];
  readonly does: string;
  readonly request?: HttpRequest;
  /** Code of the problem, where the refusal must have this reason. */
  readonly code?: string;
  /** What matters of the answer. */
  readonly shows?: (body: T, answer: HttpAnswer<T>) => string;
}

const NAME_WIDTH = 16;

/** Where the story is played: one server, reached over HTTP only. */
export class Stage {
  private readonly anonymous: HttpClient;

  constructor(
    readonly console: DemoConsole,
    readonly url: string,
    readonly config: Config,
    readonly setupCode: string,
  ) {
    this.anonymous = new HttpClient(url);
  }

  /** Sends the request and checks its status. The story goes on after a failure as far as it can. */
  async act<T = Problem>(act: Act<T>): Promise<HttpAnswer<T>> {
    const [method = '', path = ''] = act.call.split(' ');
    const answer = await (act.who?.client ?? this.anonymous).send<T>(method, path, act.request);
    const allowed = [act.status].flat();
    const problem = answer.body as Problem;
    const holds = allowed.includes(answer.status) && (act.code === undefined || problem.code === act.code);
    const { dim, bold } = this.console;
    const who = (act.who?.name ?? act.as ?? 'somebody').padEnd(NAME_WIDTH);
    const result = holds && act.shows ? `  ${bold(act.shows(answer.body, answer))}` : '';
    const refusal = holds && answer.status >= 400 && problem.code ? dim(` ${problem.code}`) : '';
    const request = `${method} /api/v1${shorten(path)} → ${answer.status}`;
    const found = `${answer.status} ${problem.code ?? ''} ${problem.detail ?? ''}`.trim();
    this.console.check(
      holds,
      `${who} ${act.does}${result}\n      ${dim(request)}${refusal}`,
      `${allowed.join(' or ')} ${act.code ?? ''}`.trim(),
      found,
    );
    return answer;
  }

  /** An expectation about an answer. */
  expect(what: string, expected: unknown, found: unknown): void {
    const [wanted, got] = [JSON.stringify(expected), JSON.stringify(found)];
    this.console.check(wanted === got, what, wanted, got);
  }

  /** Signs somebody in, as a step of the story. */
  async login(person: Pick<Person, 'id' | 'name' | 'username' | 'password'>): Promise<Person> {
    const { username, password } = person;
    const { body } = await this.act<Tokens & { expiresIn: number }>({
      who: null,
      call: 'POST /auth/login',
      status: 200,
      as: person.name,
      does: `signs in as ${username}:`,
      request: { json: { username, password } },
      shows: ({ expiresIn }) => `a token for ${expiresIn / 60} minutes`,
    });
    return { ...person, client: new HttpClient(this.url, body), tokens: body };
  }

  /** Uses a one-time code to choose a login, and signs in. */
  async activate(name: string, username: string, password: string, activation: { accountId: string; code: string }): Promise<Person> {
    await this.act({
      who: null,
      call: 'POST /auth/activate',
      status: 200,
      as: name,
      does: 'chooses a login with the one-time code',
      request: { json: { code: activation.code, username, password } },
    });
    return this.login({ id: activation.accountId, name, username, password });
  }
}

/** Ids are long; their end is enough to follow the story. */
export function shorten(text: string): string {
  return text.replace(/[0-9a-f]{8}-[0-9a-f-]{22}([0-9a-f]{5})/g, '…$1');
}
