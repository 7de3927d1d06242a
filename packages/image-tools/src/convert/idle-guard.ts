import { ImageError } from "../image-error.ts";

/** Ends work that makes no progress. Disposing it stops the clock. */
export interface IdleGuard extends Disposable {
  /** Aborts with an ImageError when nothing was noted for too long, or as the caller's signal does. */
  readonly signal: AbortSignal;
  /** Notes progress. */
  note(): void;
}

/** Starts to wait for progress, for at most `maxIdleMs` at a time. */
export function guardIdle(maxIdleMs: number, signal: AbortSignal | undefined): IdleGuard {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const seconds = Math.round(maxIdleMs / 1000);
    controller.abort(
      new ImageError("IMAGE_SOURCE_STALLED", `nothing could be converted for ${seconds} seconds`),
    );
  }, maxIdleMs);
  timer.unref();
  return {
    signal: signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
    note: () => {
      timer.refresh();
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
