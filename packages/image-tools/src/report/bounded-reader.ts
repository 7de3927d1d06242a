import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";

/** Says that an inspection has read all that it may. Never reaches a caller of this package. */
export class BudgetExceeded extends Error {
  override readonly name = "BudgetExceeded";
}

/** What a {@link BoundedReader} may read. */
export interface ReadBudget {
  readonly requests: number;
  readonly bytes: number;
  /** Whether requests are dear, so that they are rounded up to whole blocks and never repeated. */
  readonly keeps: boolean;
}

// What remote readers fetch at least, and in multiples of which.
const BLOCK_BYTES = 16 * 1024;

/**
 * Reads with a budget. Beyond it, reading throws {@link BudgetExceeded}, while all that was kept can
 * still be read. Disposing it leaves the other reader open.
 */
export class BoundedReader implements RandomAccessReader {
  readonly sizeBytes: number;
  readonly #reader: RandomAccessReader;
  readonly #kept: { readonly offset: number; readonly bytes: Buffer }[] = [];
  readonly #blockBytes: number;
  readonly #keeps: boolean;
  #requestsLeft: number;
  #bytesLeft: number;

  constructor(reader: RandomAccessReader, budget: ReadBudget) {
    this.#reader = reader;
    this.sizeBytes = reader.sizeBytes;
    this.#keeps = budget.keeps;
    this.#blockBytes = budget.keeps ? BLOCK_BYTES : 1;
    this.#requestsLeft = budget.requests;
    this.#bytesLeft = budget.bytes;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    checkReadRange(offset, length, this.sizeBytes);
    for (const { offset: start, bytes } of this.#kept) {
      const from = offset - start;
      if (from >= 0 && from + length <= bytes.length) return bytes.subarray(from, from + length);
    }
    const blockBytes = this.#blockBytes;
    const start = Math.floor(offset / blockBytes) * blockBytes;
    const end = Math.min(Math.ceil((offset + length) / blockBytes) * blockBytes, this.sizeBytes);
    if (this.#requestsLeft < 1 || end - start > this.#bytesLeft) throw new BudgetExceeded();
    this.#requestsLeft -= 1;
    this.#bytesLeft -= end - start;
    const bytes = await this.#reader.read(start, end - start);
    if (this.#keeps) this.#kept.push({ offset: start, bytes });
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
