import type { Clock } from "@polyvisor/core";

/**
 * Resolves after `milliseconds` of the clock's time, at once for 0.
 *
 * @throws the signal's reason when it is aborted meanwhile.
 */
export async function pause(
  clock: Clock,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  if (milliseconds <= 0) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => {
    timer.cancel();
    reject(signal?.reason as Error);
  };
  const timer = clock.setTimer(milliseconds, () => {
    signal?.removeEventListener("abort", onAbort);
    resolve();
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  await promise;
}
