/** A running timer. */
export interface Timer {
  /** Stops the timer; does nothing when it has already fired. */
  cancel(): void;
}

/** Where core takes time from, so that a test can run a data centre under virtual time. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /** Calls `callback` once, after at least `milliseconds`. */
  setTimer(milliseconds: number, callback: () => void): Timer;
}

/** Resolves after `milliseconds` of the clock's time; rejects with the signal's reason when aborted. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.setTimer(milliseconds, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** A signal that is aborted after `milliseconds` of the clock's time, unless it is cancelled before. */
export function timeLimit(
  clock: Clock,
  milliseconds: number,
): Timer & { readonly signal: AbortSignal } {
  const ending = new AbortController();
  const timer = clock.setTimer(milliseconds, () => {
    ending.abort(new Error(`not done within ${milliseconds} ms`));
  });
  return { signal: ending.signal, cancel: () => timer.cancel() };
}

/** The clock's present time as an RFC 3339 timestamp in UTC with whole seconds, as Kubernetes writes it. */
export function timestamp(clock: Clock): string {
  return `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
}
