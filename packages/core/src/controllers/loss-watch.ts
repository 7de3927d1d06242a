import type { Clock } from "../util/clock.ts";

/** How often it is looked whether something is still where it was put, in milliseconds. */
const INTERVAL = 600_000;

/** Asks now and then whether things are still there, however often their resources are looked at. */
export class LossWatch {
  readonly interval: number = INTERVAL;
  readonly #clock: Clock;
  readonly #asked = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What `ask` says; `undefined` when it was asked a short time ago. */
  async check(key: string, ask: () => Promise<boolean>): Promise<boolean | undefined> {
    const now = this.#clock.now();
    const asked = this.#asked.get(key);
    if (asked !== undefined && now < asked + INTERVAL) return undefined;
    const answer = await ask();
    this.#asked.set(key, now);
    return answer;
  }

  forget(key: string): void {
    this.#asked.delete(key);
  }
}
