import { contentLeaves } from "../digest/content-digest.ts";
import { zeroRuns } from "../sparse/zero-runs.ts";
import type { CopyJob, CopyResult } from "./copy-job.ts";
import { encodeBlocks } from "./encode-blocks.ts";
import { jobSlices } from "./job-slices.ts";
import { PieceReader } from "./piece-reader.ts";
import { ReusedMemory } from "./reused-memory.ts";
import { writeFileFully } from "./sync-file.ts";

const workspace = new ReusedMemory();

/**
 * Does `job` on this thread, and returns when it is done.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`.
 */
export function runCopyJob(job: CopyJob): CopyResult {
  const { output } = job;
  const reader = new PieceReader(job);
  const leaves: Buffer[] = [];
  let dataBytes = 0;
  let encoded: Pick<CopyResult, "blocks" | "bytes"> = {};
  // Blocks may be as large as the piece, so that only as a whole it has nothing but whole ones.
  for (const slice of output.kind === "blocks" ? [job] : jobSlices(job)) {
    const disk = workspace.take(slice.length);
    reader.read(slice.segments, disk);
    if (job.leaves) leaves.push(contentLeaves(disk));
    if (output.kind === "blocks") {
      const { blocks, bytes } = encodeBlocks(disk, output.encoding);
      dataBytes = blocks.length * output.encoding.blockBytes;
      encoded = { blocks, bytes };
      continue;
    }
    for (const run of zeroRuns(disk, slice.start)) {
      if (!run.zero) dataBytes += run.end - run.start;
      if (output.kind === "nothing" || (run.zero && output.zeroed)) continue;
      writeFileFully(output.fd, disk.subarray(run.start, run.end), slice.start + run.start);
    }
  }
  const { readBytes, overlongBlocks } = reader;
  return {
    readBytes,
    overlongBlocks,
    dataBytes,
    ...(job.leaves ? { leaves: Buffer.concat(leaves) } : {}),
    ...encoded,
  };
}
