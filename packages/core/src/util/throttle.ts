import type { Clock } from "./clock.ts";

/** Passes a value on at most once in `milliseconds`; those that come in between are dropped. */
export function throttled<T>(
  clock: Clock,
  milliseconds: number,
  pass: (value: T) => void,
): (value: T) => void {
  let next = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = clock.now();
    if (now < next) return;
    next = now + milliseconds;
    pass(value);
  };
}
