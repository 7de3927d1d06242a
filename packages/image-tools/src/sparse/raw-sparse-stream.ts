import { mapOrdered } from "../io/ordered-queue.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { MAX_DATA_EXTENT_BYTES, mergeExtents } from "./merge-extents.ts";
import type { SparseExtent, SparseStream } from "./sparse-stream.ts";

const READ_AHEAD = 3;

/** Options of {@link rawSparseStream}. */
export interface RawSparseStreamOptions {
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Streams a raw image; zero runs of 64 KiB-aligned granules become holes. Disposing the stream
 * disposes the reader.
 */
export function rawSparseStream(
  reader: RandomAccessReader,
  options: RawSparseStreamOptions = {},
): SparseStream {
  const { signal } = options;

  async function* offsets(): AsyncGenerator<number, void, void> {
    for (let offset = 0; offset < reader.sizeBytes; offset += MAX_DATA_EXTENT_BYTES) {
      signal?.throwIfAborted();
      yield offset;
    }
  }

  async function readExtent(offset: number): Promise<SparseExtent> {
    const length = Math.min(MAX_DATA_EXTENT_BYTES, reader.sizeBytes - offset);
    return { type: "data", bytes: await reader.read(offset, length) };
  }

  return {
    sizeBytes: reader.sizeBytes,
    [Symbol.asyncIterator]: () => mergeExtents(mapOrdered(offsets(), READ_AHEAD, readExtent)),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
