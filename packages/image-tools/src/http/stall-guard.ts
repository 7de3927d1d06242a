import { ImageError } from "../image-error.ts";

/**
 * Runs `step` with a signal that aborts when `signal` does or after `timeoutMs`, and rejects then
 * at once, whether or not the step heeds its signal.
 *
 * @throws ImageError `IMAGE_SOURCE_STALLED` after the timeout; the reason of `signal`.
 */
export async function guardStall<Result>(
  step: (signal: AbortSignal) => Promise<Result>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Result> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (reason: unknown): void => {
    reject(reason);
    controller.abort(reason);
  };
  const onAbort = (): void => abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    abort(new ImageError("IMAGE_SOURCE_STALLED", `the server sent nothing for ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    const result = step(controller.signal);
    result.catch(() => {});
    return await Promise.race([result, aborted]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
