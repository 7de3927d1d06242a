import { type Clock, sleep } from "../util/clock.ts";

/** How often and how long apart work is tried. */
const ATTEMPTS = 5;
const FIRST_PAUSE = 2_000;

/** True for an error that says of itself that the same can succeed later. */
function isRetryable(error: unknown): boolean {
  return typeof error === "object" && error !== null && Reflect.get(error, "retryable") === true;
}

/**
 * Does `work`; after an error that is worth it again, up to five times, with pauses of 2, 4, 8 and 16 seconds.
 *
 * @param options.onRetry Told of the error before each pause, with its length in milliseconds.
 */
export async function withRetries<T>(
  work: () => Promise<T>,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly onRetry: (error: unknown, pause: number) => void;
  },
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || options.signal.aborted || !isRetryable(error)) throw error;
      const pause = FIRST_PAUSE * 2 ** (attempt - 1);
      options.onRetry(error, pause);
      await sleep(options.clock, pause, options.signal);
    }
  }
}
