import type { CopyExecutor } from "../worker/copy-executor.ts";
import type { ConversionSource } from "./conversion-source.ts";

// Starting threads takes as long as converting this much.
const INLINE_BYTES = 16 * 1024 * 1024;
const SMALL_HEAP_MEBIBYTES = 32;

/** Whether the pieces of a disk are only written, or also digested or compressed. */
export type PieceWork = "write" | "compute";

/**
 * The threads that were started early, or those that the source needs. There are none where it is
 * known to be small, or where it comes as a stream that is only to be written: that is decoded
 * elsewhere, and passing it on would cost more than it saves.
 */
export async function chooseExecutor(
  { allocatedBytes, reader }: ConversionSource,
  work: PieceWork,
  threads: number | undefined,
  early: CopyExecutor | undefined,
): Promise<CopyExecutor> {
  const isSmall = allocatedBytes !== undefined && allocatedBytes <= INLINE_BYTES;
  const isOnlyWritten = reader === undefined && work === "write";
  if (threads === undefined && (isSmall || isOnlyWritten)) {
    const { inlineExecutor } = await import("../worker/inline-executor.ts");
    return inlineExecutor();
  }
  if (early !== undefined) return early;
  const { createWorkerPool } = await import("../worker/worker-pool.ts");
  // What is read ahead of a remote file needs memory too.
  const heapMebibytes = reader?.fd === undefined ? SMALL_HEAP_MEBIBYTES : undefined;
  return createWorkerPool({ threads, heapMebibytes });
}
