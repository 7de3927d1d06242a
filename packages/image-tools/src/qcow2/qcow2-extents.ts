import { mapOrdered } from "../io/ordered-queue.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { MAX_DATA_EXTENT_BYTES, mergeExtents } from "../sparse/merge-extents.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import type { ClusterDecoder } from "./cluster-decoder.ts";
import type { Qcow2Header } from "./qcow2-header.ts";
import { l2CoverageBytes, readL1Entry, readL2Table, type Qcow2Segment } from "./qcow2-l2-table.ts";

const READ_AHEAD = 4;
const MAX_HOST_READ_BYTES = 2 * 1024 * 1024;

/** What {@link qcow2Extents} reads. */
export interface Qcow2ExtentsInput {
  readonly reader: RandomAccessReader;
  readonly header: Qcow2Header;
  readonly l1: Buffer;
  readonly decoder: ClusterDecoder;
  readonly signal?: AbortSignal | undefined;
}

/** Yields the first `length` bytes of the disk. Reading and decoding run a few steps ahead. */
export function qcow2Extents(
  input: Qcow2ExtentsInput,
  length: number,
): AsyncGenerator<SparseExtent, void, void> {
  const batches = batchSegments(segments(input, length));
  const results = mapOrdered(batches, READ_AHEAD, (batch) => readBatch(input, batch));
  return mergeExtents(flatten(results));
}

async function* flatten(
  results: AsyncIterable<readonly SparseExtent[]>,
): AsyncGenerator<SparseExtent, void, void> {
  for await (const extents of results) yield* extents;
}

/** Segments per L2 table, so that the cost of an asynchronous step is not paid per cluster. */
async function* segments(
  { reader, header, l1, signal }: Qcow2ExtentsInput,
  length: number,
): AsyncGenerator<Iterable<Qcow2Segment>, void, void> {
  const coverage = l2CoverageBytes(header);
  let holeLength = 0;
  for (let start = 0; start < length; start += coverage) {
    const wanted = Math.min(coverage, length - start);
    const offset = readL1Entry(header, l1, start / coverage);
    if (offset === undefined) {
      holeLength += wanted;
      continue;
    }
    signal?.throwIfAborted();
    if (holeLength > 0) yield [{ type: "hole", length: holeLength }];
    holeLength = 0;
    const table = await reader.read(offset, header.clusterSize);
    yield readL2Table(header, table, 0, wanted);
  }
  if (holeLength > 0) yield [{ type: "hole", length: holeLength }];
}

/** Segments that are adjacent enough in the file to be read at once. */
interface Batch {
  readonly segments: Qcow2Segment[];
  readonly type: Qcow2Segment["type"];
  length: number;
  readonly hostStart: number;
  hostEnd: number;
}

async function* batchSegments(
  tables: AsyncIterable<Iterable<Qcow2Segment>>,
): AsyncGenerator<Batch, void, void> {
  let batch: Batch | undefined;
  for await (const table of tables) {
    for (const segment of table) {
      if (batch !== undefined && tryAppend(batch, segment)) continue;
      if (batch !== undefined) yield batch;
      batch = startBatch(segment);
    }
  }
  if (batch !== undefined) yield batch;
}

function hostEndOf(segment: Qcow2Segment): number {
  if (segment.type === "hole") return 0;
  const hostLength = segment.type === "compressed" ? segment.hostLength : segment.length;
  return segment.hostOffset + hostLength;
}

function startBatch(segment: Qcow2Segment): Batch {
  return {
    segments: segment.type === "compressed" ? [segment] : [],
    type: segment.type,
    length: segment.length,
    hostStart: segment.type === "hole" ? 0 : segment.hostOffset,
    hostEnd: hostEndOf(segment),
  };
}

function tryAppend(batch: Batch, segment: Qcow2Segment): boolean {
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
  { reader, decoder, signal }: Qcow2ExtentsInput,
  batch: Batch,
): Promise<readonly SparseExtent[]> {
  signal?.throwIfAborted();
  if (batch.type === "hole") return [{ type: "hole", length: batch.length }];
  // The bound of the file's last compressed cluster may lie beyond the end of the file.
  const hostEnd =
    batch.type === "compressed" ? Math.min(batch.hostEnd, reader.sizeBytes) : batch.hostEnd;
  const bytes = await reader.read(batch.hostStart, hostEnd - batch.hostStart);
  if (batch.type === "data") return [{ type: "data", bytes }];
  return Promise.all(
    batch.segments.map(async (segment): Promise<SparseExtent> => {
      if (segment.type !== "compressed") throw new TypeError("only compressed clusters are listed");
      const start = segment.hostOffset - batch.hostStart;
      const compressed = bytes.subarray(start, start + segment.hostLength);
      return { type: "data", bytes: await decoder.decode(compressed, segment.length) };
    }),
  );
}
