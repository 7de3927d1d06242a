import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";

/** Says that an inspection has read all that it may. Never reaches a caller of this package. */
export class BudgetExceeded extends Error {
  override readonly name = "BudgetExceeded";
}

/** What a {@link BoundedReader} may read. */
export interface ReadBudget {
  readonly requests: number;
  readonly bytes: number;
}

// What remote readers fetch at least, and in multiples of which.
const BLOCK_BYTES = 16 * 1024;

/**
 * Reads with a budget and keeps what was read. Beyond the budget, reading throws
 * {@link BudgetExceeded}, while all that is there already can still be read. Disposing it leaves
 * the other reader open.
 */
export class BoundedReader implements RandomAccessReader {
  readonly sizeBytes: number;
  readonly #reader: RandomAccessReader;
  readonly #kept: { readonly offset: number; readonly bytes: Buffer }[] = [];
  #requestsLeft: number;
  #bytesLeft: number;

  constructor(reader: RandomAccessReader, budget: ReadBudget) {
    this.#reader = reader;
    this.sizeBytes = reader.sizeBytes;
    this.#requestsLeft = budget.requests;
    this.#bytesLeft = budget.bytes;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    checkReadRange(offset, length, this.sizeBytes);
    for (const { offset: start, bytes } of this.#kept) {
      const from = offset - start;
      if (from >= 0 && from + length <= bytes.length) return bytes.subarray(from, from + length);
    }
    const start = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES;
    const end = Math.min(Math.ceil((offset + length) / BLOCK_BYTES) * BLOCK_BYTES, this.sizeBytes);
    if (this.#requestsLeft < 1 || end - start > this.#bytesLeft) throw new BudgetExceeded();
    this.#requestsLeft -= 1;
    this.#bytesLeft -= end - start;
    const bytes = await this.#reader.read(start, end - start);
    this.#kept.push({ offset: start, bytes });
    return bytes.subarray(offset - start, offset - start + length);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/**
 * The beginning of something whose rest is not there. Reading past it throws
 * {@link BudgetExceeded}.
 */
export function headReader(head: Buffer, sizeBytes: number): RandomAccessReader {
  return {
    sizeBytes,
    read: async (offset, length) => {
      checkReadRange(offset, length, sizeBytes);
      if (offset + length > head.length) throw new BudgetExceeded();
      return head.subarray(offset, offset + length);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
