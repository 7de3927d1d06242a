import { open, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SEGMENT_BYTES, segmentRoot } from "../digest/segment-roots.ts";
import { mapOrdered } from "../io/ordered-queue.ts";
import { ImageError } from "../image-error.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import { fileTarget } from "../write/file-target.ts";
import type { ImageTarget } from "../write/image-target.ts";
import { COPY_PIECE_BYTES } from "./plan-copy.ts";
import { openResumeJournal } from "./resume-journal.ts";

/** A raw file whose conversion can be gone on with after it was interrupted. */
export interface ResumableTarget extends AsyncDisposable {
  readonly target: ImageTarget;
  /** Roots of the segments that are there already, after {@link ResumableTarget.verify}. */
  verify(executor: CopyExecutor, signal: AbortSignal | undefined): Promise<readonly Buffer[]>;
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
    if (journal.roots.length === 0) await rm(workPath, { force: true });
    const file = await open(workPath, journal.roots.length === 0 ? "wx+" : "r+", 0o640).catch(
      async (cause: unknown) => {
        await journal.remove();
        throw new ImageError("IMAGE_IO", `cannot open "${workPath}"`, { cause });
      },
    );
    const target = fileTarget(file, { path, workPath, keepOnFailure: () => keep });
    return {
      target,
      verify: async (executor, signal) => {
        const count = await countVerified(file.fd, journal.roots, executor, signal);
        await journal.keep(count);
        await file.truncate(count * SEGMENT_BYTES);
        return journal.roots.slice(0, count);
      },
      checkpoint: async (roots) => {
        await file.datasync();
        await journal.append(roots);
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

/** How many of the first segments of a file have the roots that were recorded. */
async function countVerified(
  fd: number,
  roots: readonly Buffer[],
  executor: CopyExecutor,
  signal: AbortSignal | undefined,
): Promise<number> {
  async function* segments(): AsyncGenerator<number, void, void> {
    for (const index of roots.keys()) yield index;
  }
  const results = mapOrdered(segments(), executor.concurrency, async (index) => {
    signal?.throwIfAborted();
    const root = roots[index] as Buffer;
    // Nothing was ever written there, and reading holes would take as long as reading data.
    if (root.every((byte) => byte === 0)) return true;
    return (await readRoot(fd, index, executor)).equals(root);
  });
  let count = 0;
  for await (const isSame of results) {
    if (!isSame) break;
    count += 1;
  }
  return count;
}

async function readRoot(fd: number, index: number, executor: CopyExecutor): Promise<Buffer> {
  const leaves: Uint8Array[] = [];
  const start = index * SEGMENT_BYTES;
  for (let at = start; at < start + SEGMENT_BYTES; at += COPY_PIECE_BYTES) {
    const result = await executor
      .run({
        start: at,
        length: COPY_PIECE_BYTES,
        segments: [{ type: "data", length: COPY_PIECE_BYTES, hostOffset: at }],
        source: { kind: "file", fd, sizeBytes: at + COPY_PIECE_BYTES },
        output: { kind: "nothing" },
        leaves: true,
      })
      .catch((error: unknown) => {
        // A file that is shorter than it was cannot be right.
        if (error instanceof ImageError && error.code === "IMAGE_TRUNCATED") return undefined;
        throw error;
      });
    if (result?.leaves === undefined) return Buffer.alloc(0);
    leaves.push(result.leaves);
  }
  return segmentRoot(Buffer.concat(leaves));
}
