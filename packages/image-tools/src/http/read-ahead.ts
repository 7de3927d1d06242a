import type { FetchRange } from "./block-cache.ts";

/** How a {@link ReadAhead} is laid out. */
export interface ReadAheadOptions {
  readonly sizeBytes: number;
  readonly segmentBytes: number;
  /** Segments fetched at the same time, besides those being read. */
  readonly segmentsAhead: number;
}

/**
 * Fetches a file in large segments, several at the same time, before they are asked for. Keeps a
 * bounded number of them; the ones that lie furthest behind go first.
 */
export class ReadAhead {
  readonly #fetch: FetchRange;
  readonly #options: ReadAheadOptions;
  readonly #segments = new Map<number, Promise<Buffer>>();

  constructor(fetch: FetchRange, options: ReadAheadOptions) {
    this.#fetch = fetch;
    this.#options = options;
  }

  /** Whether all of a range is there or on its way. */
  has(offset: number, length: number): boolean {
    const { segmentBytes } = this.#options;
    const last = Math.floor((offset + length - 1) / segmentBytes);
    for (let index = Math.floor(offset / segmentBytes); index <= last; index += 1) {
      if (!this.#segments.has(index)) return false;
    }
    return true;
  }

  /** Reads bytes that lie inside the file and fetches what follows them. */
  async read(offset: number, length: number): Promise<Buffer> {
    const { segmentBytes, segmentsAhead, sizeBytes } = this.#options;
    const first = Math.floor(offset / segmentBytes);
    const last = Math.floor((offset + length - 1) / segmentBytes);
    const end = Math.min(last + 1 + segmentsAhead, Math.ceil(sizeBytes / segmentBytes));
    this.#makeRoom(first, end);
    for (let index = first; index < end; index += 1) void this.#ensure(index);
    const parts: Buffer[] = [];
    for (let index = first; index <= last; index += 1) {
      const segment = await (this.#segments.get(index) ?? this.#ensure(index));
      const start = Math.max(offset - index * segmentBytes, 0);
      parts.push(segment.subarray(start, offset + length - index * segmentBytes));
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length);
  }

  #ensure(index: number): Promise<Buffer> {
    const known = this.#segments.get(index);
    if (known !== undefined) return known;
    const { segmentBytes, sizeBytes } = this.#options;
    const start = index * segmentBytes;
    const segment = this.#fetch(start, Math.min(segmentBytes, sizeBytes - start));
    // What failed ahead of time is fetched anew when it is really wanted.
    segment.catch(() => this.#segments.delete(index));
    this.#segments.set(index, segment);
    return segment;
  }

  #makeRoom(first: number, end: number): void {
    const { segmentsAhead } = this.#options;
    for (const index of this.#segments.keys()) {
      // One segment behind is kept for readers that run side by side.
      const isNear = index >= first - 1 && index < end + segmentsAhead;
      if (!isNear) this.#segments.delete(index);
    }
  }
}
