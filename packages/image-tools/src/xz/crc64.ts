// ECMA-182, bits reversed. A table for each of eight bytes, in halves of 32 bits, low and high.
const POLYNOMIAL_LOW = 0xd7870f42;
const POLYNOMIAL_HIGH = 0xc96c5795;
const TABLES = 8;

const low = new Int32Array(TABLES * 256);
const high = new Int32Array(TABLES * 256);
let isFilled = false;

function fillTables(): void {
  isFilled = true;
  for (let byte = 0; byte < 256; byte += 1) {
    let crcLow = byte;
    let crcHigh = 0;
    for (let bit = 0; bit < 8; bit += 1) {
      const carry = crcLow & 1;
      crcLow = (crcLow >>> 1) | (crcHigh << 31);
      crcHigh >>>= 1;
      if (carry === 1) {
        crcLow ^= POLYNOMIAL_LOW;
        crcHigh ^= POLYNOMIAL_HIGH;
      }
    }
    low[byte] = crcLow;
    high[byte] = crcHigh;
  }
  for (let index = 256; index < TABLES * 256; index += 1) {
    const previousLow = low[index - 256] as number;
    const previousHigh = high[index - 256] as number;
    const next = previousLow & 0xff;
    low[index] = ((previousLow >>> 8) | (previousHigh << 24)) ^ (low[next] as number);
    high[index] = (previousHigh >>> 8) ^ (high[next] as number);
  }
}

/** CRC-64 of what is added, as xz has it. */
export class Crc64 {
  #low = -1;
  #high = -1;

  add(bytes: Uint8Array): void {
    if (!isFilled) fillTables();
    let crcLow = this.#low;
    let crcHigh = this.#high;
    const { length } = bytes;
    const eights = length - (length % 8);
    let at = 0;
    for (; at < eights; at += 8) {
      const one = crcLow ^ word(bytes, at);
      const two = crcHigh ^ word(bytes, at + 4);
      const a = 1792 + (one & 0xff);
      const b = 1536 + ((one >>> 8) & 0xff);
      const c = 1280 + ((one >>> 16) & 0xff);
      const d = 1024 + (one >>> 24);
      const e = 768 + (two & 0xff);
      const f = 512 + ((two >>> 8) & 0xff);
      const g = 256 + ((two >>> 16) & 0xff);
      const h = two >>> 24;
      crcLow = xor(low, a, b, c, d) ^ xor(low, e, f, g, h);
      crcHigh = xor(high, a, b, c, d) ^ xor(high, e, f, g, h);
    }
    for (; at < length; at += 1) {
      const index = (crcLow ^ (bytes[at] as number)) & 0xff;
      crcLow = ((crcLow >>> 8) | (crcHigh << 24)) ^ (low[index] as number);
      crcHigh = (crcHigh >>> 8) ^ (high[index] as number);
    }
    this.#low = crcLow;
    this.#high = crcHigh;
  }

  /** The eight bytes as they stand in a file, least significant first. */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32LE(~this.#low, 0);
    bytes.writeInt32LE(~this.#high, 4);
    return bytes;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function xor(table: Int32Array, a: number, b: number, c: number, d: number): number {
  return (table[a] as number) ^ (table[b] as number) ^ (table[c] as number) ^ (table[d] as number);
}
