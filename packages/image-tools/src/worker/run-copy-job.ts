import { contentLeaves } from "../digest/content-digest.ts";
import { zeroRuns } from "../sparse/zero-runs.ts";
import type { CopyJob, CopyResult } from "./copy-job.ts";
import { encodeBlocks } from "./encode-blocks.ts";
import { readDiskPiece } from "./read-disk-piece.ts";
import { ReusedMemory } from "./reused-memory.ts";
import { writeFileFully } from "./sync-file.ts";

const workspace = new ReusedMemory();

/**
 * Does `job` on this thread, and returns when it is done.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`.
 */
export function runCopyJob(job: CopyJob): CopyResult {
  const disk = workspace.take(job.length);
  const { readBytes, overlongBlocks } = readDiskPiece(job, disk);
  const leaves = job.leaves ? { leaves: contentLeaves(disk) } : {};
  const { output } = job;
  if (output.kind === "blocks") {
    const { blocks, bytes } = encodeBlocks(disk, output.encoding);
    const dataBytes = blocks.length * output.encoding.blockBytes;
    return { readBytes, overlongBlocks, dataBytes, ...leaves, blocks, bytes };
  }
  let dataBytes = 0;
  for (const run of zeroRuns(disk, job.start)) {
    if (!run.zero) dataBytes += run.end - run.start;
    if (output.kind === "nothing" || (run.zero && output.zeroed)) continue;
    writeFileFully(output.fd, disk.subarray(run.start, run.end), job.start + run.start);
  }
  return { readBytes, overlongBlocks, dataBytes, ...leaves };
}
