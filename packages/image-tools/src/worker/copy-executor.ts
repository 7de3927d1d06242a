import type { CopyJob, CopyResult } from "./copy-job.ts";

/** Does copy jobs, on this thread or on others. */
export interface CopyExecutor extends AsyncDisposable {
  /** How many jobs are worth being given at the same time. */
  readonly concurrency: number;
  /** @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_IO`. */
  run(job: CopyJob): Promise<CopyResult>;
}
