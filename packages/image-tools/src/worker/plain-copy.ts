import { read, write } from "node:fs";
import { zeroRuns } from "../sparse/zero-runs.ts";
import type { CopyJob, CopyResult } from "./copy-job.ts";
import { diskRuns, type DiskRun } from "./disk-runs.ts";
import { copyPieces } from "./file-pieces.ts";
import { endedEarly, readFailure, writeFailure } from "./sync-file.ts";

// With many small reads, a thread that reads by itself is quicker than one that has it done.
const MAX_READS = 8;

/** A job that only moves bytes; its runs are data and holes. */
export interface PlainCopy {
  readonly job: CopyJob;
  readonly runs: readonly DiskRun[];
}

/** `job`, if it only moves bytes in few reads, so that nothing but the file system has work. */
export function asPlainCopy(job: CopyJob): PlainCopy | undefined {
  if (job.leaves || job.output.kind === "blocks") return undefined;
  const runs = [...diskRuns(job.segments)];
  if (runs.some(({ segment }) => segment.type === "compressed")) return undefined;
  const reads = runs.filter(({ segment }) => segment.type === "data").length;
  return reads <= MAX_READS || job.source.kind === "pieces" ? { job, runs } : undefined;
}

/**
 * Does a plain copy through `disk`, memory as long as the job. Reading and writing are left to the
 * threads that Node has for files.
 *
 * @throws ImageError `IMAGE_TRUNCATED`, `IMAGE_IO`.
 */
export async function runPlainCopy({ job, runs }: PlainCopy, disk: Buffer): Promise<CopyResult> {
  const { source, output } = job;
  let readBytes = 0;
  for (const { position, segment } of runs) {
    const target = disk.subarray(position, position + segment.length);
    if (segment.type !== "data") {
      target.fill(0);
      continue;
    }
    if (source.kind === "pieces") copyPieces(source.pieces, segment.hostOffset, target);
    else await fill(source.fd, target, segment.hostOffset);
    readBytes += segment.length;
  }
  let dataBytes = 0;
  for (const run of zeroRuns(disk, job.start)) {
    if (!run.zero) dataBytes += run.end - run.start;
    if (output.kind !== "file" || (run.zero && output.zeroed)) continue;
    await writeAll(output.fd, disk.subarray(run.start, run.end), job.start + run.start);
  }
  return { readBytes, dataBytes, overlongBlocks: 0 };
}

async function fill(fd: number, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length;) {
    const rest = target.length - done;
    const count = await new Promise<number>((resolve, reject) => {
      read(fd, target, done, rest, position + done, (cause, bytesRead) => {
        if (cause === null) resolve(bytesRead);
        else reject(readFailure(cause));
      });
    });
    if (count === 0) throw endedEarly();
    done += count;
  }
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.length - done;
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, done, rest, position + done, (cause, bytesWritten) => {
        if (cause === null) resolve(bytesWritten);
        else reject(writeFailure(cause));
      });
    });
  }
}
