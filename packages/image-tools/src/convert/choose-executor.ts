import { adaptiveExecutor } from "../worker/adaptive-executor.ts";
import type { CopyExecutor } from "../worker/copy-executor.ts";
import { JOBS_PER_THREAD, threadCount } from "../worker/thread-count.ts";
import type { ConversionSource } from "./conversion-source.ts";

// Starting threads takes as long as converting this much.
const INLINE_BYTES = 16 * 1024 * 1024;
const SMALL_HEAP_MEBIBYTES = 32;
// Node has four threads for files; with some more jobs none of them waits for this one.
const MIN_FILE_JOBS = 6;

/**
 * What copies the pieces of a source. Those that must be decoded, digested or compressed are given to
 * the threads that were started early or, with the first of them, are started now; there are none
 * where the disk is known to be small.
 */
export function chooseExecutor(
  { allocatedBytes, reader }: ConversionSource,
  threads: number | undefined,
  early: CopyExecutor | undefined,
): CopyExecutor {
  const start = async (): Promise<CopyExecutor> => {
    if (early !== undefined) return early;
    const isSmall = allocatedBytes !== undefined && allocatedBytes <= INLINE_BYTES;
    if (isSmall && threads === undefined) {
      const { inlineExecutor } = await import("../worker/inline-executor.ts");
      return inlineExecutor();
    }
    const { createWorkerPool } = await import("../worker/worker-pool.ts");
    // What is read ahead of a remote file needs memory too.
    const heapMebibytes = reader?.fd === undefined ? SMALL_HEAP_MEBIBYTES : undefined;
    return createWorkerPool({ threads, heapMebibytes });
  };
  return adaptiveExecutor({ concurrency: jobCount(reader, threadCount(threads)), start });
}

/** A stream keeps a processor busy before any job, and each job of it holds its bytes twice. */
function jobCount(reader: ConversionSource["reader"], threads: number): number {
  if (reader === undefined) return threads + 1;
  const jobs = threads * JOBS_PER_THREAD;
  return reader.fd === undefined ? jobs : Math.max(MIN_FILE_JOBS, jobs);
}
