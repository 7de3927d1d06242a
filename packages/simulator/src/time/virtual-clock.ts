import { type Clock, PolyvisorError, type Timer } from "@polyvisor/core";
import { type PendingTimer, TimerHeap } from "./timer-heap.ts";

/** Turns of the event loop without a sign of life after which everything that is ready has run. */
const QUIET_TURNS = 2;
const DAY = 86_400_000;

/**
 * A clock that stands still until it is driven: by {@link advance}, by {@link until}, or by {@link play}. One driver at
 * a time.
 *
 * Before time goes on, everything runs that is ready to: promises, and immediates that use the clock. What waits for
 * something outside, such as a socket, is not waited for.
 */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #touched = false;
  #driven = false;
  #wake: (() => void) | undefined;
  readonly #timers = new TimerHeap();

  /** @param start Milliseconds since 1970. Default: 2026-01-01T00:00:00Z. */
  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    this.#touched = true;
    return this.#now;
  }

  setTimer(milliseconds: number, callback: () => void): Timer {
    this.#touched = true;
    this.#order += 1;
    const due = this.#now + Math.max(0, milliseconds);
    const timer: PendingTimer = { due, order: this.#order, callback, cancelled: false };
    this.#timers.push(timer);
    this.#wake?.();
    return { cancel: () => this.#timers.cancel(timer) };
  }

  /** Lets time pass. Timers fire in order; what they set off is run before the next are due. */
  async advance(milliseconds: number): Promise<void> {
    using _ = this.#drive();
    await this.#runTo(this.#now + milliseconds);
  }

  /**
   * Lets time pass until `work` is settled, and gives its result.
   *
   * @param options.limit Milliseconds. Default: a day.
   * @throws `POLYVISOR_TIMEOUT` when the limit is reached, or when nothing is left that could happen.
   */
  async until<T>(work: Promise<T>, options: { readonly limit?: number } = {}): Promise<T> {
    using _ = this.#drive();
    const { limit = DAY } = options;
    const end = this.#now + limit;
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    work.then(settle, settle);
    for (;;) {
      await this.#settle();
      if (settled) return await work;
      const next = this.#timers.peek();
      if (next === undefined || next.due > end) {
        const why = next
          ? `not done within ${limit / 1000} s of virtual time`
          : "nothing is left that could happen: what is waited for lies outside of the data centre";
        throw new PolyvisorError("POLYVISOR_TIMEOUT", why);
      }
      this.#fire(next.due);
    }
  }

  /**
   * Lets time pass by itself, `speed` times as fast as real time, until it is disposed of. With `Infinity` it jumps from
   * one thing that happens to the next.
   *
   * @param options.speed Default 1.
   */
  play(options: { readonly speed?: number } = {}): AsyncDisposable {
    const { speed = 1 } = options;
    const driven = this.#drive();
    const ending = new AbortController();
    const ended = this.#play(speed, ending.signal);
    return {
      [Symbol.asyncDispose]: async () => {
        ending.abort();
        this.#wake?.();
        await ended;
        driven[Symbol.dispose]();
      },
    };
  }

  async #play(speed: number, signal: AbortSignal): Promise<void> {
    const began = { real: performance.now(), virtual: this.#now };
    while (!signal.aborted) {
      await this.#settle();
      if (signal.aborted) return;
      const next = this.#timers.peek();
      if (speed === Number.POSITIVE_INFINITY) {
        if (next) this.#fire(next.due);
        else await this.#sleep(undefined, signal);
        continue;
      }
      const present = began.virtual + (performance.now() - began.real) * speed;
      await this.#runTo(Math.max(this.#now, Math.floor(present)));
      const due = this.#timers.peek()?.due;
      await this.#sleep(due === undefined ? undefined : (due - present) / speed, signal);
    }
  }

  /** Resolves after real time, when a timer is set, or when the signal is aborted. */
  async #sleep(milliseconds: number | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.min(milliseconds ?? 60_000, 60_000));
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  async #runTo(end: number): Promise<void> {
    for (;;) {
      await this.#settle();
      const next = this.#timers.peek();
      if (next === undefined || next.due > end) break;
      this.#fire(next.due);
    }
    this.#now = end;
    await this.#settle();
  }

  /** Fires everything that is due at one moment. */
  #fire(due: number): void {
    this.#now = Math.max(this.#now, due);
    for (let next = this.#timers.peek(); next && next.due <= due; next = this.#timers.peek()) {
      this.#timers.pop();
      next.callback();
    }
  }

  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      this.#touched = false;
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#touched) quiet = -1;
    }
  }

  #drive(): Disposable {
    if (this.#driven) {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        "the clock is being driven already: await advance() and until(), and dispose of play()",
      );
    }
    this.#driven = true;
    return {
      [Symbol.dispose]: () => {
        this.#driven = false;
      },
    };
  }
}
