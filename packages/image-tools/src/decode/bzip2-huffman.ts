import type { BitReader } from "./bzip2-bits.ts";

const MAX_CODE_BITS = 20;
const LOOKUP_BITS = 10;

/** Decodes the symbols of one canonical Huffman code. */
export class HuffmanTable {
  readonly #lookup = new Uint16Array(2 ** LOOKUP_BITS);
  readonly #firstCode = new Int32Array(MAX_CODE_BITS + 2);
  readonly #firstIndex = new Int32Array(MAX_CODE_BITS + 2);
  readonly #count = new Int32Array(MAX_CODE_BITS + 2);
  readonly #symbols: Uint16Array;

  /** @param lengths - Code length of every symbol, 1 to 20. */
  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    let index = 0;
    let code = 0;
    for (let bits = 1; bits <= MAX_CODE_BITS; bits += 1) {
      this.#firstCode[bits] = code;
      this.#firstIndex[bits] = index;
      for (let symbol = 0; symbol < lengths.length; symbol += 1) {
        if (lengths[symbol] !== bits) continue;
        this.#symbols[index] = symbol;
        if (bits <= LOOKUP_BITS && code < 2 ** bits) this.#fillLookup(code, bits, symbol);
        index += 1;
        code += 1;
      }
      this.#count[bits] = index - (this.#firstIndex[bits] as number);
      code *= 2;
    }
  }

  /** The next symbol; -1 when the bits are no code. */
  decode(reader: BitReader): number {
    const entry = this.#lookup[reader.peek(LOOKUP_BITS)] as number;
    if (entry !== 0) {
      reader.skip(entry & 15);
      return entry >>> 4;
    }
    const all = reader.peek(MAX_CODE_BITS);
    for (let bits = LOOKUP_BITS + 1; bits <= MAX_CODE_BITS; bits += 1) {
      const distance = (all >>> (MAX_CODE_BITS - bits)) - (this.#firstCode[bits] as number);
      if (distance >= 0 && distance < (this.#count[bits] as number)) {
        reader.skip(bits);
        return this.#symbols[(this.#firstIndex[bits] as number) + distance] as number;
      }
    }
    return -1;
  }

  #fillLookup(code: number, bits: number, symbol: number): void {
    const shift = LOOKUP_BITS - bits;
    this.#lookup.fill((symbol << 4) | bits, code << shift, (code + 1) << shift);
  }
}
