import { xzCorrupt } from "./xz-error.ts";

const MAX_BYTES = 9;

/** Reads the fields of a structure of an xz file one after the other. */
export class XzFields {
  readonly #bytes: Buffer;
  #position: number;

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  /** A number of seven bits in each byte, which says whether there is another. */
  integer(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < MAX_BYTES; count += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (!Number.isSafeInteger(value)) throw xzCorrupt("a size is absurd");
      if (byte >= 0x80) continue;
      if (byte === 0 && count > 0) throw xzCorrupt("a size is not written as it should be");
      return value;
    }
    throw xzCorrupt("a size is too long");
  }

  byte(): number {
    const byte = this.#bytes[this.#position];
    if (byte === undefined) throw xzCorrupt("a structure ends too early");
    this.#position += 1;
    return byte;
  }

  /** @throws ImageError `IMAGE_CORRUPT` unless all that is left is zeros, and at most `maxBytes`. */
  requirePadding(maxBytes: number): void {
    const rest = this.#bytes.subarray(this.#position);
    if (rest.length > maxBytes || rest.some((byte) => byte !== 0)) {
      throw xzCorrupt("there is something where nothing should be");
    }
  }
}
