import type { CopyJob, CopyResult } from "./copy-job.ts";
import { runCopyJob } from "./run-copy-job.ts";

/** Does copy jobs, on this thread or on others. */
export interface CopyExecutor extends AsyncDisposable {
  /** How many jobs are worth being given at the same time. */
  readonly concurrency: number;
  /** @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`. */
  run(job: CopyJob): Promise<CopyResult>;
}

/** Does every job at once on the calling thread, which is quicker for little data. */
export function inlineExecutor(): CopyExecutor {
  return {
    concurrency: 1,
    run: async (job) => runCopyJob(job),
    [Symbol.asyncDispose]: async () => {},
  };
}
