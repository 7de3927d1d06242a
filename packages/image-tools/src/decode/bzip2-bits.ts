/** Thrown inside the bzip2 decoder when the input ends within a block. */
export class BitsExhausted extends Error {}

/** Reads bits, the highest of each byte first. */
export class BitReader {
  #bytes: Buffer = Buffer.alloc(0);
  #position = 0;
  #window = 0;
  #windowBits = 0;

  /** Whole bytes that have not been looked at yet. */
  get bytesLeft(): number {
    return this.#bytes.length - this.#position + (this.#windowBits >>> 3);
  }

  append(bytes: Buffer): void {
    this.#giveBack();
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#position), bytes]);
    this.#position = 0;
  }

  /** The next `count` bits, 24 at most, as a number. */
  read(count: number): number {
    const bits = this.peek(count);
    this.skip(count);
    return bits;
  }

  /** As {@link read}, without taking them. Reads zeros beyond the end. */
  peek(count: number): number {
    while (this.#windowBits < count) {
      const byte =
        this.#position < this.#bytes.length ? (this.#bytes[this.#position] as number) : 0;
      this.#position += 1;
      this.#window = ((this.#window << 8) | byte) >>> 0;
      this.#windowBits += 8;
    }
    return (this.#window >>> (this.#windowBits - count)) & (2 ** count - 1);
  }

  /** Takes bits that have been peeked. */
  skip(count: number): void {
    this.#windowBits -= count;
    const isBeyond = this.#position - (this.#windowBits >>> 3) > this.#bytes.length;
    if (isBeyond) throw new BitsExhausted();
  }

  /** Drops what is left of the current byte. */
  align(): void {
    this.#giveBack();
    this.#windowBits = 0;
  }

  /** Gives whole bytes back that were only peeked. */
  #giveBack(): void {
    const bytes = this.#windowBits >>> 3;
    this.#position -= bytes;
    this.#window >>>= bytes * 8;
    this.#windowBits -= bytes * 8;
  }
}
