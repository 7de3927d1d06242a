import { stat } from "node:fs/promises";
import type { DiskImage } from "../disk/disk-image.ts";
import { inlineExecutor, type CopyExecutor } from "../worker/copy-executor.ts";
import { createWorkerPool } from "../worker/worker-pool.ts";
import type { ConversionSource } from "./conversion-source.ts";

// Starting threads takes as long as converting this much.
const INLINE_BYTES = 16 * 1024 * 1024;

/**
 * Starts threads already while the source is being opened, where it is large or remote; they are
 * needed then whatever is found in it.
 */
export async function startThreadsEarly(
  source: string | URL | DiskImage,
  threads: number | undefined,
): Promise<CopyExecutor | undefined> {
  if (typeof source === "object" && !(source instanceof URL)) return undefined;
  const status = await stat(source).catch(() => undefined);
  const isLarge = (status?.size ?? 0) > INLINE_BYTES;
  return isLarge ? createWorkerPool({ threads }) : undefined;
}

/**
 * The threads that were started early, or those that the source needs: none where it is known to be
 * small and no number of threads is asked for.
 */
export function chooseExecutor(
  { allocatedBytes }: ConversionSource,
  threads: number | undefined,
  early: CopyExecutor | undefined,
): CopyExecutor {
  if (early !== undefined) return early;
  const isSmall = allocatedBytes !== undefined && allocatedBytes <= INLINE_BYTES;
  return isSmall && threads === undefined ? inlineExecutor() : createWorkerPool({ threads });
}
