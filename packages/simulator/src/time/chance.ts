import { createHash } from "node:crypto";
import type { RandomSource } from "@polyvisor/core";

/**
 * Random numbers that follow from a seed. {@link fork} gives an independent sequence by name, so that drawing from one
 * does not change another.
 *
 * The generator is sfc32 by Chris Doty-Humphrey (PractRand, public domain).
 */
export class Chance implements RandomSource {
  readonly #seed: string;
  readonly #state: Uint32Array;

  constructor(seed: string) {
    this.#seed = seed;
    const digest = createHash("sha256").update(seed).digest();
    this.#state = Uint32Array.of(
      digest.readUInt32LE(0),
      digest.readUInt32LE(4),
      digest.readUInt32LE(8),
      1,
    );
    for (let round = 0; round < 12; round += 1) this.#next();
  }

  fork(name: string): Chance {
    return new Chance(`${this.#seed}/${name}`);
  }

  /** At least 0 and less than 1. */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#next() & 0xff);
  }

  #next(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const sum = (a + b + d) >>> 0;
    state[3] = d + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + sum;
    return sum;
  }
}
