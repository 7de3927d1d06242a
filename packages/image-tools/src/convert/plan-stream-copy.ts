import type { DiskSegment } from "../disk/disk-segment.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import type { FilePiece } from "../worker/copy-job.ts";
import { planCopy, type CopyStep, type PlanCopyOptions } from "./plan-copy.ts";

/** Cuts a disk that comes as a stream into steps; each carries its own bytes. */
export async function* planStreamCopy(
  extents: AsyncIterable<SparseExtent>,
  options: PlanCopyOptions = {},
): AsyncGenerator<CopyStep, void, void> {
  const arrived: FilePiece[] = [];

  async function* segments(): AsyncGenerator<readonly DiskSegment[], void, void> {
    let position = 0;
    for await (const extent of extents) {
      const { length } = extent.type === "hole" ? extent : extent.bytes;
      if (extent.type === "data") arrived.push({ offset: position, bytes: extent.bytes });
      yield [
        extent.type === "hole"
          ? { type: "hole", length }
          : { type: "data", length, hostOffset: position },
      ];
      position += length;
    }
  }

  for await (const step of planCopy(segments(), options)) {
    if (step.type === "hole") {
      yield step;
      continue;
    }
    const end = step.start + step.length;
    const pieces: FilePiece[] = arrived.filter(({ offset }) => offset < end);
    const firstLeft = arrived.findIndex(({ offset, bytes }) => offset + bytes.length > end);
    arrived.splice(0, firstLeft < 0 ? arrived.length : firstLeft);
    yield { ...step, pieces };
  }
}
