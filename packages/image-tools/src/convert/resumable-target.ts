import { fstatSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SEGMENT_BYTES, segmentRoot } from "../digest/segment-roots.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import { mapOrdered } from "../io/ordered-queue.ts";
import { ImageError, isImageError } from "../image-error.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { ResumableSink } from "../write/disk-sink.ts";
import { fileTarget } from "../write/file-target.ts";
import type { ImageTarget } from "../write/image-target.ts";
import { planCopy } from "./plan-copy.ts";
import { openResumeJournal, type StoredSegment } from "./resume-journal.ts";

/** A file whose conversion can be gone on with after it was interrupted. */
export interface ResumableTarget extends AsyncDisposable {
  readonly target: ImageTarget;
  /**
   * Verifies what an earlier run has left, lets `sink` go on behind that, and returns the roots of the
   * segments that are there already.
   */
  resume(
    sink: ResumableSink,
    executor: CopyExecutor,
    signal: AbortSignal | undefined,
  ): Promise<readonly Buffer[]>;
  /** Records that further segments are written. */
  checkpoint(roots: readonly Buffer[]): Promise<void>;
  /** Gives up: nothing is kept for another run. */
  discard(): void;
  /** Removes the journal of a conversion that is complete. */
  complete(): Promise<void>;
}

/**
 * Opens what an earlier conversion with the same `identity` to `path` has left, or begins anew.
 *
 * @throws ImageError `IMAGE_CONFLICT` while another process works with it, `IMAGE_IO`.
 */
export async function openResumableTarget(
  path: string,
  identity: string,
): Promise<ResumableTarget> {
  const nameOf = (suffix: string): string =>
    join(dirname(path), `.${basename(path)}.polyvisor-${suffix}`);
  const journal = await openResumeJournal(nameOf("journal"), identity);
  let keep = true;
  try {
    const workPath = nameOf("partial");
    const isNew = journal.segments.length === 0;
    if (isNew) await rm(workPath, { force: true });
    const file = await open(workPath, isNew ? "wx+" : "r+", 0o640).catch(async (cause: unknown) => {
      await journal.remove();
      throw new ImageError("IMAGE_IO", `cannot open "${workPath}"`, { cause });
    });
    const target = fileTarget(file, { path, workPath, keepOnFailure: () => keep });
    let resumed: ResumableSink | undefined;
    let done = 0;
    return {
      target,
      resume: async (sink, executor, signal) => {
        done = await countVerified(file.fd, journal.segments, { sink, executor, signal });
        await journal.keep(done);
        const kept = journal.segments.slice(0, done);
        const marks = kept.map(({ mark }) => mark);
        await file.truncate(marks.at(-1)?.end ?? 0);
        if (done > 0) sink.resume(marks, done * SEGMENT_BYTES);
        resumed = sink;
        return kept.map(({ root }) => root);
      },
      checkpoint: async (roots) => {
        const starts = roots.map((_, index) => (done + index) * SEGMENT_BYTES);
        const marks = (await resumed?.checkpoint(starts)) ?? [];
        await file.datasync();
        await journal.append(marks.map((mark, index) => ({ mark, root: roots[index] as Buffer })));
        done += roots.length;
      },
      discard: () => {
        keep = false;
      },
      complete: () => journal.remove(),
      [Symbol.asyncDispose]: async () => {
        await target[Symbol.asyncDispose]();
        if (!keep) await journal.remove();
        await journal[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

interface VerifyingInput {
  readonly sink: ResumableSink;
  readonly executor: CopyExecutor;
  readonly signal: AbortSignal | undefined;
}

/** How many of the first segments of a file have the roots that were recorded. */
async function countVerified(
  fd: number,
  stored: readonly StoredSegment[],
  { sink, executor, signal }: VerifyingInput,
): Promise<number> {
  async function* indices(): AsyncGenerator<number, void, void> {
    for (const index of stored.keys()) yield index;
  }
  const results = mapOrdered(indices(), executor.concurrency, async (index) => {
    signal?.throwIfAborted();
    const { root, mark } = stored[index] as StoredSegment;
    const start = index * SEGMENT_BYTES;
    try {
      const located = sink.locate(mark, start, SEGMENT_BYTES);
      const isZero = root.every((byte) => byte === 0);
      const isStored = located.some(({ type }) => type !== "hole");
      // Nothing was ever written there, and reading holes would take as long as reading data.
      if (isZero) return mark.table === 0 || !isStored;
      return (await readRoot(fd, start, located, executor)).equals(root);
    } catch (error) {
      // A file that was changed or is shorter than it was cannot be right.
      if (isImageError(error, "IMAGE_TRUNCATED") || isImageError(error, "IMAGE_CORRUPT")) {
        return false;
      }
      throw error;
    }
  });
  let count = 0;
  for await (const isSame of results) {
    if (!isSame) break;
    count += 1;
  }
  return count;
}

async function readRoot(
  fd: number,
  start: number,
  located: readonly DiskSegment[],
  executor: CopyExecutor,
): Promise<Buffer> {
  async function* table(): AsyncGenerator<readonly DiskSegment[], void, void> {
    yield located;
  }
  const leaves: Uint8Array[] = [];
  const { size: sizeBytes } = fstatSync(fd);
  for await (const step of planCopy(table(), { writeHoles: true })) {
    if (step.type === "hole") continue;
    const result = await executor.run({
      start: start + step.start,
      length: step.length,
      segments: step.segments,
      source: { kind: "file", fd, sizeBytes },
      output: { kind: "nothing" },
      leaves: true,
    });
    if (result.leaves !== undefined) leaves.push(result.leaves);
  }
  return segmentRoot(Buffer.concat(leaves));
}
