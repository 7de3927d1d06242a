import { xzCorrupt } from "./xz-error.ts";
import { LZMA_SLACK_BYTES } from "./lzma-decoder.ts";

const BUFFER_BYTES = 256 * 1024;

/** Fills `target` with the bytes of the file from `offset`. */
export type ReadXzFile = (target: Uint8Array, offset: number) => void;

/** Memory for an {@link XzInput}. */
export const XZ_INPUT_BYTES: number = BUFFER_BYTES + LZMA_SLACK_BYTES;

/** The compressed data of a block, in a buffer that moves along. */
export class XzInput {
  readonly bytes: Uint8Array;
  readonly #read: ReadXzFile;
  #offset: number;
  #left: number;
  #position = 0;
  #end = 0;

  constructor(memory: Uint8Array, read: ReadXzFile, offset: number, length: number) {
    this.bytes = memory;
    this.#read = read;
    this.#offset = offset;
    this.#left = length;
  }

  /** Bytes that were not taken yet. */
  get leftBytes(): number {
    return this.#left + this.#end - this.#position;
  }

  /**
   * Takes `length` bytes, at most 128 KiB: they begin in the buffer at the position that is returned,
   * and stay there until the next call.
   *
   * @throws ImageError `IMAGE_CORRUPT` at the end of the data.
   */
  take(length: number): number {
    if (this.#position + length > this.#end) this.#refill(length);
    const at = this.#position;
    this.#position += length;
    return at;
  }

  #refill(length: number): void {
    this.bytes.copyWithin(0, this.#position, this.#end);
    this.#end -= this.#position;
    this.#position = 0;
    const room = Math.min(BUFFER_BYTES - this.#end, this.#left);
    this.#read(this.bytes.subarray(this.#end, this.#end + room), this.#offset);
    this.#offset += room;
    this.#left -= room;
    this.#end += room;
    if (length > this.#end) throw xzCorrupt("a block ends too early");
  }
}
