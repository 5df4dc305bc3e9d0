import { Counter, Gauge, type Registry } from 'prom-client';

/** A gauge that is set when somebody asks. */
export function gauge(registry: Registry, name: string, help: string): Gauge {
  return new Gauge({ name, help, registers: [registry] });
}

export function counter<L extends string>(registry: Registry, name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
  return new Counter({ name, help, labelNames, registers: [registry] });
}

/** Sets a counter to what somebody else counted. */
export function setTotal(target: Counter, total: number): void {
  target.reset();
  target.inc(total);
}
