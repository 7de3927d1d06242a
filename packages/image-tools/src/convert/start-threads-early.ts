import { open } from "node:fs/promises";
import type { CopyExecutor } from "../worker/copy-executor.ts";

// Starting threads takes as long as converting this much.
const MIN_BYTES = 16 * 1024 * 1024;
// gzip, bzip2, zstd and xz, which are decoded elsewhere.
const STREAM_MAGIC = [
  [0x1f, 0x8b],
  [0x42, 0x5a, 0x68],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0xfd, 0x37, 0x7a, 0x58],
];

/** What {@link startThreadsEarly} looks at. */
export interface EarlyStart {
  readonly source: unknown;
  readonly threads?: number | undefined;
}

/**
 * Starts threads already while a large local file is being opened, which needs them whatever is
 * found in it.
 */
export async function startThreadsEarly({
  source,
  threads,
}: EarlyStart): Promise<CopyExecutor | undefined> {
  if (typeof source !== "string" && !(source instanceof URL)) return undefined;
  if (!(await needsThreads(source))) return undefined;
  const { createWorkerPool } = await import("../worker/worker-pool.ts");
  return createWorkerPool({ threads });
}

async function needsThreads(path: string | URL): Promise<boolean> {
  try {
    await using file = await open(path, "r");
    const status = await file.stat();
    if (!status.isFile() || status.size <= MIN_BYTES) return false;
    const head = Buffer.alloc(4);
    await file.read(head, 0, head.length, 0);
    return !STREAM_MAGIC.some((magic) => magic.every((byte, index) => head[index] === byte));
  } catch {
    // Opening the source says better what is wrong, if anything is.
    return false;
  }
}
