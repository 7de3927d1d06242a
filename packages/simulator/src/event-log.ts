import type { Clock } from "@polyvisor/core";

/** Lines that are kept; older ones are dropped. */
const KEPT_LINES = 100_000;

/** Everything that has happened in a data centre: one line of JSON each, with the virtual time. */
export class EventLog {
  readonly #clock: Clock;
  #lines: string[] = [];
  #recorded = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last 100,000 lines, oldest first. */
  lines(): readonly string[] {
    return this.#lines.slice(-KEPT_LINES);
  }

  /** Lines that there were in all. */
  get recorded(): number {
    return this.#recorded;
  }

  /** @internal */
  record(event: string, fields: Readonly<Record<string, unknown>>): void {
    this.#recorded += 1;
    const time = new Date(this.#clock.now()).toISOString();
    this.#lines.push(JSON.stringify({ time, event, ...fields }));
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES);
  }
}
