import { mapOrdered } from "../io/ordered-queue.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { MAX_DATA_EXTENT_BYTES, mergeExtents } from "../sparse/merge-extents.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import type { CompressedSegment, DiskSegment } from "./disk-segment.ts";

const READ_AHEAD = 4;
const MAX_HOST_READ_BYTES = 2 * 1024 * 1024;

/** What {@link segmentExtents} reads. */
export interface SegmentExtentsInput {
  readonly reader: RandomAccessReader;
  readonly segments: AsyncIterable<Iterable<DiskSegment>>;
  /** Decodes the bytes that belong to `segment` and returns exactly its `length`. */
  readonly decode: (compressed: Buffer, segment: CompressedSegment) => Buffer;
  readonly signal?: AbortSignal | undefined;
}

/** Yields the content of `segments`. Reading and decoding run a few steps ahead. */
export function segmentExtents(
  input: SegmentExtentsInput,
): AsyncGenerator<SparseExtent, void, void> {
  const batches = batchSegments(input.segments);
  const results = mapOrdered(batches, READ_AHEAD, (batch) => readBatch(input, batch));
  return mergeExtents(flatten(results));
}

async function* flatten(
  results: AsyncIterable<readonly SparseExtent[]>,
): AsyncGenerator<SparseExtent, void, void> {
  for await (const extents of results) yield* extents;
}

/** Segments that are adjacent enough in the file to be read at once. */
interface Batch {
  readonly segments: DiskSegment[];
  readonly type: DiskSegment["type"];
  length: number;
  readonly hostStart: number;
  hostEnd: number;
}

async function* batchSegments(
  tables: AsyncIterable<Iterable<DiskSegment>>,
): AsyncGenerator<Batch, void, void> {
  let batch: Batch | undefined;
  for await (const table of tables) {
    for (const whole of table) {
      for (const segment of splitData(whole)) {
        if (batch !== undefined && tryAppend(batch, segment)) continue;
        if (batch !== undefined) yield batch;
        batch = startBatch(segment);
      }
    }
  }
  if (batch !== undefined) yield batch;
}

function* splitData(segment: DiskSegment): Generator<DiskSegment> {
  if (segment.type !== "data" || segment.length <= MAX_DATA_EXTENT_BYTES) {
    yield segment;
    return;
  }
  for (let start = 0; start < segment.length; start += MAX_DATA_EXTENT_BYTES) {
    const length = Math.min(MAX_DATA_EXTENT_BYTES, segment.length - start);
    yield { type: "data", length, hostOffset: segment.hostOffset + start };
  }
}

function hostEndOf(segment: DiskSegment): number {
  if (segment.type === "hole") return 0;
  const hostLength = segment.type === "compressed" ? segment.hostLength : segment.length;
  return segment.hostOffset + hostLength;
}

function startBatch(segment: DiskSegment): Batch {
  return {
    segments: segment.type === "compressed" ? [segment] : [],
    type: segment.type,
    length: segment.length,
    hostStart: segment.type === "hole" ? 0 : segment.hostOffset,
    hostEnd: hostEndOf(segment),
  };
}

function tryAppend(batch: Batch, segment: DiskSegment): boolean {
  if (batch.type !== segment.type) return false;
  if (segment.type !== "hole") {
    if (batch.length + segment.length > MAX_DATA_EXTENT_BYTES) return false;
    if (segment.type === "data") {
      if (segment.hostOffset !== batch.hostEnd) return false;
    } else {
      const isNear =
        segment.hostOffset >= batch.hostStart &&
        hostEndOf(segment) <= batch.hostStart + MAX_HOST_READ_BYTES;
      if (!isNear) return false;
      batch.segments.push(segment);
    }
    batch.hostEnd = Math.max(batch.hostEnd, hostEndOf(segment));
  }
  batch.length += segment.length;
  return true;
}

async function readBatch(
  { reader, decode, signal }: SegmentExtentsInput,
  batch: Batch,
): Promise<readonly SparseExtent[]> {
  signal?.throwIfAborted();
  if (batch.type === "hole") return [{ type: "hole", length: batch.length }];
  // The bound of the file's last compressed block may lie beyond the end of the file.
  const hostEnd =
    batch.type === "compressed" ? Math.min(batch.hostEnd, reader.sizeBytes) : batch.hostEnd;
  const bytes = await reader.read(batch.hostStart, hostEnd - batch.hostStart);
  if (batch.type === "data") return [{ type: "data", bytes }];
  return batch.segments.map((segment) => {
    if (segment.type !== "compressed") throw new TypeError("only compressed blocks are listed");
    const start = segment.hostOffset - batch.hostStart;
    const compressed = bytes.subarray(start, start + segment.hostLength);
    return { type: "data", bytes: decode(compressed, segment) };
  });
}
