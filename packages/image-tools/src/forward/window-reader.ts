import { TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { UnreadPages } from "./unread-pages.ts";

/** How much of a stream is kept, to be read again or out of order. */
export const WINDOW_BYTES: number = 48 * 1024 * 1024;

/** Options of {@link WindowReader}. */
export interface WindowReaderOptions {
  /** Refuses longer streams. */
  readonly maxBytes: number;
  /** Default: {@link WINDOW_BYTES}. */
  readonly windowBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Waiting {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Reads a stream at random, within limits: reading goes on in the stream as far as it is needed, and
 * what lies more than a window behind is forgotten. Disposing it leaves the stream open.
 */
export class WindowReader implements RandomAccessReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #options: WindowReaderOptions;
  #windowBytes: number;
  #unread: UnreadPages | undefined;
  readonly #chunks: Chunk[] = [];
  #waiting: Waiting[] = [];
  #position = 0;
  #ended = false;
  #pull: Promise<void> | undefined;

  constructor(stream: AsyncIterable<Uint8Array>, options: WindowReaderOptions) {
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#options = options;
    this.#windowBytes = options.windowBytes ?? WINDOW_BYTES;
  }

  /** Length of the stream; infinite until its end has been seen. */
  get sizeBytes(): number {
    return this.#ended ? this.#position : Number.POSITIVE_INFINITY;
  }

  /** Reads on until the window is full. Returns whether it holds the whole stream. */
  async fill(): Promise<boolean> {
    while (!this.#ended && this.#position < this.#windowBytes) await this.#pullChunk();
    return this.#ended && (this.#chunks[0]?.offset ?? 0) === 0;
  }

  /**
   * From now on, half of the window is for what was not released, however far it is behind. To be
   * called before anything is forgotten.
   */
  keepUnread(): void {
    this.#windowBytes /= 2;
    this.#unread = new UnreadPages(this.#windowBytes);
  }

  /** Says that bytes were read for good. */
  release(offset: number, length: number): void {
    this.#unread?.release(offset, length);
  }

  /**
   * @throws ImageError `IMAGE_NOT_STREAMABLE` for bytes that were forgotten, `IMAGE_TRUNCATED` behind
   * the end of the stream, and as reading the stream does.
   */
  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = await this.readUpTo(offset, length);
    if (bytes.length === length) return bytes;
    throw truncated(offset + length, this.#position);
  }

  /** As {@link read}, but gives fewer bytes where the stream ends. */
  async readUpTo(offset: number, length: number): Promise<Buffer> {
    while (this.#position < offset + length && !this.#ended) await this.#pullChunk();
    return this.#copy(offset, Math.max(0, Math.min(length, this.#position - offset)));
  }

  /**
   * The bytes as soon as the stream has come past them, whoever reads it on. Nothing is read for
   * their sake.
   */
  async readInPassing(offset: number, length: number): Promise<Buffer> {
    const end = offset + length;
    if (this.#position < end) {
      if (this.#ended) throw truncated(end, this.#position);
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ end, resolve, reject });
      });
    }
    return this.#copy(offset, length);
  }

  /** Reads the stream to its end. Returns its last bytes. */
  async finish(): Promise<Buffer> {
    while (!this.#ended) await this.#pullChunk();
    const length = Math.min(this.#position, TAIL_SAMPLE_BYTES);
    return this.#copy(this.#position - length, length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#chunks.length = 0;
    this.#wake(new ImageError("IMAGE_IO", "reading of the stream was ended"));
  }

  /** Several callers at a time wait for the same chunk. */
  #pullChunk(): Promise<void> {
    this.#pull ??= this.#pullNext().finally(() => {
      this.#pull = undefined;
    });
    return this.#pull;
  }

  async #pullNext(): Promise<void> {
    try {
      this.#options.signal?.throwIfAborted();
      const step = await this.#iterator.next();
      if (step.done === true) {
        this.#ended = true;
        this.#wake(undefined);
        return;
      }
      this.#chunks.push({ offset: this.#position, bytes: step.value });
      this.#position += step.value.length;
      if (this.#position > this.#options.maxBytes) {
        throw new ImageError(
          "IMAGE_TOO_LARGE",
          `the image exceeds ${this.#options.maxBytes} bytes`,
        );
      }
      this.#wake(undefined);
      this.#forget();
    } catch (error) {
      this.#wake(error);
      throw error;
    }
  }

  #wake(error: unknown): void {
    const still: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (error !== undefined) waiting.reject(error);
      else if (waiting.end <= this.#position) waiting.resolve();
      else if (this.#ended) waiting.reject(truncated(waiting.end, this.#position));
      else still.push(waiting);
    }
    this.#waiting = still;
  }

  #forget(): void {
    const keepFrom = this.#position - this.#windowBytes;
    let count = 0;
    for (const { offset, bytes } of this.#chunks) {
      if (offset + bytes.length > keepFrom) break;
      this.#unread?.save(offset, bytes);
      count += 1;
    }
    this.#chunks.splice(0, count);
  }

  #copy(offset: number, length: number): Buffer {
    if (length === 0) return Buffer.alloc(0);
    // Its own memory: what is passed to a thread is copied with all that is around it.
    const copied = Buffer.allocUnsafeSlow(length);
    const first = this.#chunks[0]?.offset ?? this.#position;
    let done = 0;
    while (done < length && offset + done < first) {
      const end = Math.min(length, first - offset);
      const count = this.#unread?.copy(offset + done, copied.subarray(done, end)) ?? 0;
      if (count === 0) throw notStreamable(offset + done);
      done += count;
    }
    let at = this.#firstChunk(offset + done);
    while (done < length) {
      const chunk = this.#chunks[at] as Chunk;
      const start = offset + done - chunk.offset;
      const part = chunk.bytes.subarray(start, start + length - done);
      copied.set(part, done);
      done += part.length;
      at += 1;
    }
    return copied;
  }

  #firstChunk(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#chunks[middle] as Chunk).offset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The error for an image that cannot be read in the order of its file. */
export function notStreamable(offset: number): ImageError {
  return new ImageError(
    "IMAGE_NOT_STREAMABLE",
    `the image needs byte ${offset} after what lies far behind it, and so cannot be read from front to back; give it as a file, or uncompressed from a server that supports ranges`,
  );
}

function truncated(end: number, size: number): ImageError {
  return new ImageError(
    "IMAGE_TRUNCATED",
    `the image is cut short: it refers to byte ${end}, but ends at ${size}`,
  );
}
