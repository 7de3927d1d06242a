/** Collects the chunks of a stream and gives their bytes out in other portions. */
export class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or fewer where the stream ends before. */
  async take(length: number): Promise<Buffer> {
    if (this.#chunk.length < length) await this.#fill(length);
    const taken = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(taken.length);
    return taken;
  }

  /** Between one and `maxLength` bytes, none at the end of the stream. */
  async takeSome(maxLength: number): Promise<Buffer> {
    if (this.#chunk.length === 0) await this.#fill(1);
    return this.take(Math.min(maxLength, Math.max(1, this.#chunk.length)));
  }

  /** Ends the stream. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #fill(length: number): Promise<void> {
    const chunks = [this.#chunk];
    let bytes = this.#chunk.length;
    while (bytes < length) {
      const step = await this.#source.next();
      if (step.done === true) break;
      const { buffer, byteOffset, byteLength } = step.value;
      chunks.push(Buffer.from(buffer, byteOffset, byteLength));
      bytes += byteLength;
    }
    this.#chunk = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }
}
