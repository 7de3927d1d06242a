import { detectImage } from "../detect/detect-image.ts";
import { TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { rawClaimedSize, type ClaimedSize } from "../disk/raw-claimed-size.ts";
import { ImageError, isImageError } from "../image-error.ts";
import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";
import { discClaimedSize } from "../iso9660/disc-claimed-size.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import { parseVhdFooter, VHD_FOOTER_BYTES, vhdErrors } from "../vhd/vhd-footer.ts";

// The descriptors of a disc lie here.
const KEPT_BYTES = 1024 * 1024;

/** Options of {@link RawStream}. */
export interface RawStreamOptions {
  readonly format: "raw" | "iso";
  /** The beginning of the stream, which comes in it again. */
  readonly head: Buffer;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * A disk that comes as it is. What can only be known at the end of the stream is checked there: that
 * it is as long as its content claims, and whether the end is that of another format. A footer that
 * makes it a fixed VHD is not a part of the disk.
 */
export class RawStream {
  readonly #stream: AsyncIterable<Uint8Array>;
  readonly #options: RawStreamOptions;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #bytes = 0;
  #format: "raw" | "iso" | "vhd";

  constructor(stream: AsyncIterable<Uint8Array>, options: RawStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#format = options.format;
  }

  /** Known for sure after the last extent. */
  get format(): "raw" | "iso" | "vhd" {
    return this.#format;
  }

  async *extents(): AsyncGenerator<SparseExtent, void, void> {
    const { maxBytes, signal } = this.#options;
    let tail = Buffer.alloc(0);
    for await (const chunk of this.#stream) {
      signal?.throwIfAborted();
      this.#bytes += chunk.length;
      if (this.#bytes > maxBytes) {
        throw new ImageError("IMAGE_TOO_LARGE", `the disk has more than ${maxBytes} bytes`);
      }
      if (this.#format === "iso") this.#keep(chunk);
      if (chunk.length <= TAIL_SAMPLE_BYTES) {
        tail = Buffer.concat([tail, chunk]);
        const ready = tail.length - TAIL_SAMPLE_BYTES;
        if (ready > 0) yield { type: "data", bytes: Buffer.from(tail.subarray(0, ready)) };
        tail = Buffer.from(tail.subarray(Math.max(0, ready)));
        continue;
      }
      if (tail.length > 0) yield { type: "data", bytes: tail };
      const held = chunk.length - TAIL_SAMPLE_BYTES;
      tail = Buffer.from(chunk.subarray(held));
      yield { type: "data", bytes: Buffer.from(chunk.buffer, chunk.byteOffset, held) };
    }
    const rest = await this.#judgeEnd(tail);
    if (rest.length > 0) yield { type: "data", bytes: rest };
  }

  /** Returns what of the end belongs to the disk. */
  async #judgeEnd(tail: Buffer): Promise<Buffer> {
    const { head, format } = this.#options;
    const detected = detectImage(head, tail);
    if (detected.kind === "image" && detected.format === "vhd" && format === "raw") {
      this.#format = "vhd";
      return this.#withoutFooter(tail);
    }
    if (detected.kind !== "image" || detected.format !== format) {
      throw new ImageError(
        "IMAGE_UNSAFE",
        `the file begins like an image of format ${format}, but ends like another one`,
      );
    }
    const claimed = format === "iso" ? await this.#discSize() : rawClaimedSize(head);
    if (claimed !== undefined && claimed.bytes > this.#bytes) {
      throw new ImageError(
        "IMAGE_TRUNCATED",
        `the ${format} image is cut short: its ${claimed.by} reaches to byte ${claimed.bytes}, but it ends at ${this.#bytes}`,
      );
    }
    return tail;
  }

  #withoutFooter(tail: Buffer): Buffer {
    const footer = parseVhdFooter(tail.subarray(-VHD_FOOTER_BYTES));
    const dataBytes = this.#bytes - VHD_FOOTER_BYTES;
    const surplus = dataBytes - footer.virtualSizeBytes;
    if (footer.type !== "fixed" || surplus < 0) {
      throw vhdErrors.truncated(
        `the disk has ${footer.virtualSizeBytes} bytes, the file ${dataBytes}`,
      );
    }
    const rest = tail.length - VHD_FOOTER_BYTES - surplus;
    if (rest < 0) {
      throw new ImageError(
        "IMAGE_NOT_STREAMABLE",
        "the vhd image is larger than its footer at the end says; give it as a file",
      );
    }
    return tail.subarray(0, rest);
  }

  #keep(chunk: Uint8Array): void {
    if (this.#keptBytes >= KEPT_BYTES) return;
    const part = Buffer.from(chunk.subarray(0, KEPT_BYTES - this.#keptBytes));
    this.#kept.push(part);
    this.#keptBytes += part.length;
  }

  async #discSize(): Promise<ClaimedSize | undefined> {
    const bytes = Buffer.concat(this.#kept);
    const reader: RandomAccessReader = {
      sizeBytes: this.#bytes,
      read: async (offset, length) => {
        checkReadRange(offset, length, bytes.length);
        return bytes.subarray(offset, offset + length);
      },
      [Symbol.asyncDispose]: async () => {},
    };
    return discClaimedSize(reader, this.#options.head).catch((error: unknown) => {
      // Descriptors that lie farther behind are gone.
      if (isImageError(error, "IMAGE_TRUNCATED")) return undefined;
      throw error;
    });
  }
}
