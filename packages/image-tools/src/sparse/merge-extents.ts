import type { SparseExtent } from "./sparse-stream.ts";
import { zeroRuns } from "./zero-runs.ts";

/** The most bytes that one data extent holds. */
export const MAX_DATA_EXTENT_BYTES: number = 1024 * 1024;

/**
 * Brings extents that start at `offset` of the disk into the form that a sparse stream promises:
 * zero granules become holes, adjoining holes become one, and data is at most 1 MiB.
 */
export async function* mergeExtents(
  extents: AsyncIterable<SparseExtent>,
  offset = 0,
): AsyncGenerator<SparseExtent, void, void> {
  let position = offset;
  let holeLength = 0;
  for await (const extent of extents) {
    if (extent.type === "hole") {
      holeLength += extent.length;
      position += extent.length;
      continue;
    }
    const { bytes } = extent;
    for (const run of zeroRuns(bytes, position)) {
      if (run.zero) {
        holeLength += run.end - run.start;
        continue;
      }
      if (holeLength > 0) {
        yield { type: "hole", length: holeLength };
        holeLength = 0;
      }
      for (let start = run.start; start < run.end; start += MAX_DATA_EXTENT_BYTES) {
        const end = Math.min(start + MAX_DATA_EXTENT_BYTES, run.end);
        yield { type: "data", bytes: bytes.subarray(start, end) };
      }
    }
    position += bytes.length;
  }
  if (holeLength > 0) yield { type: "hole", length: holeLength };
}
