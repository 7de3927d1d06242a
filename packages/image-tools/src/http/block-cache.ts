/** Fetches bytes that lie inside the file. */
export type FetchRange = (offset: number, length: number) => Promise<Buffer>;

/** How a {@link BlockCache} is laid out. */
export interface BlockCacheOptions {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly maxBlocks: number;
}

/**
 * Keeps small blocks of a file, so that reads that lie close together need one fetch. The least
 * recently used blocks go first.
 */
export class BlockCache {
  readonly #fetch: FetchRange;
  readonly #options: BlockCacheOptions;
  readonly #blocks = new Map<number, Promise<Buffer>>();

  constructor(fetch: FetchRange, options: BlockCacheOptions) {
    this.#fetch = fetch;
    this.#options = options;
  }

  /** Puts in bytes from the beginning of the file that are known already. */
  fill(head: Buffer): void {
    const { blockBytes, sizeBytes } = this.#options;
    for (let start = 0; start < head.length; start += blockBytes) {
      const end = Math.min(start + blockBytes, sizeBytes);
      if (end > head.length) break;
      this.#keep(start / blockBytes, Promise.resolve(head.subarray(start, end)));
    }
  }

  /** Reads bytes that lie inside the file; missing blocks that adjoin are fetched together. */
  async read(offset: number, length: number): Promise<Buffer> {
    const { blockBytes } = this.#options;
    const first = Math.floor(offset / blockBytes);
    const last = Math.floor((offset + length - 1) / blockBytes);
    const wanted: Promise<Buffer>[] = [];
    for (let index = first; index <= last; index += 1) {
      if (!this.#blocks.has(index)) this.#fetchBlocks(index, this.#missingUntil(index, last));
      const block = this.#blocks.get(index) as Promise<Buffer>;
      this.#blocks.delete(index);
      this.#blocks.set(index, block);
      wanted.push(block);
    }
    this.#evict();
    const blocks = await Promise.all(wanted);
    const joined = blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks);
    const start = offset - first * blockBytes;
    return joined.subarray(start, start + length);
  }

  #missingUntil(first: number, last: number): number {
    let end = first + 1;
    while (end <= last && !this.#blocks.has(end)) end += 1;
    return end;
  }

  #fetchBlocks(first: number, end: number): void {
    const { blockBytes, sizeBytes } = this.#options;
    const start = first * blockBytes;
    const fetched = this.#fetch(start, Math.min(end * blockBytes, sizeBytes) - start);
    for (let index = first; index < end; index += 1) {
      const from = (index - first) * blockBytes;
      const block = fetched.then((bytes) => bytes.subarray(from, from + blockBytes));
      // What failed is fetched anew by the next read; the present one reports it.
      block.catch(() => this.#blocks.delete(index));
      this.#keep(index, block);
    }
  }

  #keep(index: number, block: Promise<Buffer>): void {
    this.#blocks.set(index, block);
  }

  #evict(): void {
    for (const index of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#options.maxBlocks) return;
      this.#blocks.delete(index);
    }
  }
}
