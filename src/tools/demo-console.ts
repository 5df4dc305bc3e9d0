import type { Output } from './progress-bar';

type Paint = (text: string) => string;

/** Prints the demonstration as numbered steps and remembers what went wrong. In colour on a terminal, unless NO_COLOR is set. */
export class DemoConsole {
  readonly bold: Paint;
  readonly dim: Paint;
  private readonly green: Paint;
  private readonly red: Paint;
  private readonly blue: Paint;
  private steps = 0;
  private checks = 0;
  private failed = 0;

  constructor(readonly output: Output) {
    const colours = output.isTTY === true && output.hasColors?.() === true;
    const paint =
      (code: number): Paint =>
      (text) =>
        colours ? `\x1b[${code}m${text}\x1b[0m` : text;
    [this.bold, this.dim, this.green, this.red, this.blue] = [paint(1), paint(2), paint(32), paint(31), paint(36)];
  }

  get failures(): number {
    return this.failed;
  }

  step(title: string): void {
    this.steps += 1;
    this.line(`\n${this.blue(String(this.steps).padStart(2))}  ${this.bold(title)}`);
  }

  line(text = ''): void {
    this.output.write(`${text}\n`);
  }

  note(text: string): void {
    this.line(`      ${this.dim(text)}`);
  }

  /** One expectation, with what came instead when it does not hold. */
  check(holds: boolean, what: string, expected: string, found: string): void {
    this.checks += 1;
    if (holds) return this.line(`    ${this.green('✓')} ${what}`);
    this.failed += 1;
    this.line(`    ${this.red('✗')} ${what}`);
    this.line(`      ${this.red(`expected ${expected}; found ${found}`)}`);
  }

  /** The story cannot go on. */
  broken(why: string): void {
    this.failed += 1;
    this.line(`    ${this.red('✗')} The story ends here: ${why}`);
  }

  summary(seconds: number): void {
    const held = this.checks - this.failed;
    this.line();
    if (this.failed === 0) this.line(this.green(this.bold(`All ${this.checks} expectations held, in ${seconds.toFixed(1)} s.`)));
    else this.line(this.red(this.bold(`${this.failed} expectation(s) failed; ${Math.max(held, 0)} held.`)));
  }
}
