import { inlineExecutor, type CopyExecutor } from "../worker/copy-executor.ts";
import { createWorkerPool } from "../worker/worker-pool.ts";
import type { ConversionSource } from "./conversion-source.ts";

// Starting threads takes as long as converting this much.
const INLINE_BYTES = 16 * 1024 * 1024;

/** Threads for a source, unless it is known to be small and no number of threads is asked for. */
export function chooseExecutor(
  threads: number | undefined,
  { allocatedBytes }: ConversionSource,
): CopyExecutor {
  const isSmall = allocatedBytes !== undefined && allocatedBytes <= INLINE_BYTES;
  return isSmall && threads === undefined ? inlineExecutor() : createWorkerPool({ threads });
}
