import type { Clock, Timer } from "../../util/clock.ts";

/** How long a key waits after so many failures in a row, in milliseconds: 50 ms doubling up to 30 s. */
export function backoffDelay(failures: number): number {
  return Math.min(50 * 2 ** Math.min(failures - 1, 20), 30_000);
}

/**
 * Keys to look at. A key waits once, however often it is added, and is never handed out twice at a time: when it is
 * added while it is being looked at, it comes again afterwards.
 */
export class WorkQueue<Key> {
  readonly #clock: Clock;
  readonly #ready: Set<Key> = new Set();
  readonly #active = new Set<Key>();
  /** Added again while active. */
  readonly #dirty = new Set<Key>();
  readonly #timers = new Map<Key, { readonly due: number; readonly timer: Timer }>();
  readonly #failures = new Map<Key, number>();
  readonly #waiters: ((key: Key | undefined) => void)[] = [];
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keys that wait for their turn. */
  get size(): number {
    return this.#ready.size;
  }

  add(key: Key): void {
    if (this.#closed) return;
    if (this.#active.has(key)) {
      this.#dirty.add(key);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter) {
      this.#active.add(key);
      waiter(key);
    } else {
      this.#ready.add(key);
    }
  }

  /** Adds a key later; an earlier appointment of the same key stands. */
  addAfter(key: Key, milliseconds: number): void {
    if (this.#closed) return;
    const due = this.#clock.now() + milliseconds;
    const appointed = this.#timers.get(key);
    if (appointed !== undefined) {
      if (appointed.due <= due) return;
      appointed.timer.cancel();
    }
    const timer = this.#clock.setTimer(milliseconds, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { due, timer });
  }

  /** Adds a key after a delay that grows with every failure in a row. */
  addAfterFailure(key: Key): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.addAfter(key, backoffDelay(failures));
  }

  /** Ends a row of failures. */
  forgetFailures(key: Key): void {
    this.#failures.delete(key);
  }

  /** The next key, as soon as there is one; `undefined` once the queue is closed. */
  take(): Promise<Key | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const [key] = this.#ready;
    if (key === undefined) return new Promise((resolve) => this.#waiters.push(resolve));
    this.#ready.delete(key);
    this.#active.add(key);
    return Promise.resolve(key);
  }

  /** Says that a key that was taken has been looked at. */
  done(key: Key): void {
    this.#active.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#ready.clear();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }
}
