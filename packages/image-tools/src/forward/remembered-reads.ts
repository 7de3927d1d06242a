import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";

const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Keeps what is read of a stream while its image is opened: its headers and tables, which are read
 * again when the stream is far behind them.
 */
export class RememberedReads implements RandomAccessReader {
  readonly #reader: RandomAccessReader;
  readonly #reads = new Map<number, Buffer>();
  #bytes = 0;
  #isOpening = true;

  constructor(reader: RandomAccessReader) {
    this.#reader = reader;
  }

  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  /** @throws ImageError `IMAGE_TOO_LARGE` when the tables are, and as reading the stream does. */
  async read(offset: number, length: number): Promise<Buffer> {
    const known = this.#reads.get(offset);
    if (known !== undefined && known.length >= length) return known.subarray(0, length);
    const bytes = await this.#reader.read(offset, length);
    if (this.#isOpening) this.#remember(offset, bytes);
    return bytes;
  }

  /** From now on nothing more is kept. */
  stop(): void {
    this.#isOpening = false;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#reader[Symbol.asyncDispose]();
  }

  #remember(offset: number, bytes: Buffer): void {
    this.#bytes += bytes.length - (this.#reads.get(offset)?.length ?? 0);
    if (this.#bytes > MAX_BYTES) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        "the tables of the image are too large to be kept while it is streamed; give it as a file",
      );
    }
    this.#reads.set(offset, bytes);
  }
}
