import { BlockCache, type FetchRange } from "./block-cache.ts";
import type { RangeClient } from "./range-client.ts";
import { ReadAhead } from "./read-ahead.ts";
import { RequestSlots } from "./request-slots.ts";
import { SequenceDetector } from "./sequence-detector.ts";

const BLOCK_BYTES = 16 * 1024;
const MAX_BLOCKS = 512;
const SMALL_READ_BYTES = 64 * 1024;
const SEGMENT_BYTES = 4 * 1024 * 1024;
const SEQUENCE_BYTES = 512 * 1024;

/** What a {@link RangeReader} reads. */
export interface RangeReaderOptions {
  readonly sizeBytes: number;
  readonly connections: number;
  /** The beginning of the file. */
  readonly head: Buffer;
}

/** Chooses for every read between small cached blocks, reading ahead and one plain fetch. */
export class RangeReader {
  readonly #fetch: FetchRange;
  readonly #head: Buffer;
  readonly #blocks: BlockCache;
  readonly #ahead: ReadAhead;
  readonly #sequences = new SequenceDetector();

  constructor(client: RangeClient, { sizeBytes, connections, head }: RangeReaderOptions) {
    const slots = new RequestSlots(connections);
    this.#fetch = (offset, length) => slots.run(() => client.fetch(offset, length));
    this.#head = head;
    this.#blocks = new BlockCache(this.#fetch, {
      sizeBytes,
      blockBytes: BLOCK_BYTES,
      maxBlocks: MAX_BLOCKS,
    });
    this.#blocks.fill(head);
    this.#ahead = new ReadAhead(this.#fetch, {
      sizeBytes,
      segmentBytes: SEGMENT_BYTES,
      segmentsAhead: connections,
    });
  }

  /** Reads bytes that lie inside the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    if (offset + length <= this.#head.length) return this.#head.subarray(offset, offset + length);
    const sequence = this.#sequences.note(offset, length);
    const isSequential = length > SEGMENT_BYTES || sequence > Math.max(length, SEQUENCE_BYTES);
    if (isSequential || this.#ahead.has(offset, length)) {
      return this.#ahead.read(offset, length);
    }
    if (length <= SMALL_READ_BYTES) return this.#blocks.read(offset, length);
    return this.#fetch(offset, length);
  }
}
