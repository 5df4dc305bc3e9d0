/** Where a program prints; `process.stdout` is one. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
  hasColors?(): boolean;
}

const BAR_WIDTH = 24;
const ERASE_LINE = '\r\x1b[2K';

/** One line that grows in place on a terminal; elsewhere only what `say` prints, line by line. */
export class ProgressBar {
  private readonly live: boolean;
  private done = 0;

  constructor(
    private readonly output: Output,
    private readonly total: number,
  ) {
    this.live = output.isTTY === true;
  }

  /** One more is done; `label` says which one comes next. */
  advance(label = ''): void {
    this.done += 1;
    this.draw(label);
  }

  /** Shows what is being worked on. */
  draw(label: string): void {
    if (!this.live) return;
    const share = this.total === 0 ? 1 : this.done / this.total;
    const bar = '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '░');
    const line = `  ${bar} ${this.done}/${this.total} ${label}`;
    this.output.write(`${ERASE_LINE}${[...line].slice(0, (this.output.columns ?? 80) - 1).join('')}`);
  }

  /** Prints a line that stays, above the bar. */
  say(line: string): void {
    this.output.write(`${this.live ? ERASE_LINE : ''}${line}\n`);
  }

  /** Takes the bar away. */
  end(): void {
    if (this.live) this.output.write(ERASE_LINE);
  }
}

/** `12:34`-like counts for people: 1234 → `1,234`. */
export function count(value: number): string {
  return value.toLocaleString('en-GB');
}
