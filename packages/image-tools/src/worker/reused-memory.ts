/**
 * Memory that is given out again and again: fresh memory for every piece would cost more than
 * reading a file into it.
 */
export class ReusedMemory {
  #memory = Buffer.alloc(0);

  /** The same `length` bytes as in the last call; what was in them is undefined. */
  take(length: number): Buffer {
    if (this.#memory.length < length) this.#memory = Buffer.allocUnsafeSlow(length);
    return this.#memory.subarray(0, length);
  }
}
