import { ImageError } from "../image-error.ts";
import type { ImageTarget } from "./image-target.ts";

const FLUSH_BYTES = 1024 * 1024;

/** Writes a file from front to back in large steps, one of them in the background. */
export class AppendWriter {
  readonly #target: ImageTarget;
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #buffered = 0;
  #flushed: number;
  #pending: Promise<void> = Promise.resolve();

  constructor(target: ImageTarget, start: number, maxBytes: number) {
    this.#target = target;
    this.#flushed = start;
    this.#maxBytes = maxBytes;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#flushed + this.#buffered;
  }

  /** Adds `bytes`, which must not change any more. @throws ImageError `IMAGE_TOO_LARGE`, `IMAGE_IO`. */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.position + bytes.length > this.#maxBytes) throw this.#tooLarge();
    this.#parts.push(bytes);
    this.#buffered += bytes.length;
    if (this.#buffered >= FLUSH_BYTES) await this.#flush();
  }

  /** Leaves room for what is written later. @throws ImageError `IMAGE_TOO_LARGE`, `IMAGE_IO`. */
  async skip(length: number): Promise<void> {
    await this.#flush();
    if (this.position + length > this.#maxBytes) throw this.#tooLarge();
    this.#flushed += length;
  }

  /** Adds zeros up to the next multiple of `alignment`. */
  async align(alignment: number): Promise<void> {
    const rest = this.position % alignment;
    if (rest > 0) await this.append(Buffer.alloc(alignment - rest));
  }

  /** Waits until everything is written. */
  async drain(): Promise<void> {
    await this.#flush();
    await this.#pending;
  }

  #tooLarge(): ImageError {
    return new ImageError("IMAGE_TOO_LARGE", `the output exceeds ${this.#maxBytes} bytes`);
  }

  async #flush(): Promise<void> {
    await this.#pending;
    const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    if (bytes === undefined || bytes.length === 0) return;
    this.#pending = this.#target.write(bytes, this.#flushed);
    // The failure is thrown when the next step waits for this one.
    this.#pending.catch(() => {});
    this.#flushed += bytes.length;
    this.#buffered = 0;
    this.#parts = [];
  }
}
