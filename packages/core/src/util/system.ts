import { randomBytes } from "node:crypto";
import type { Clock } from "./clock.ts";
import type { RandomSource } from "./random-source.ts";

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** The operating system's random numbers. */
export const systemRandom: RandomSource = { bytes: (count) => randomBytes(count) };
