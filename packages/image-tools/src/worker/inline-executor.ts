import type { CopyExecutor } from "./copy-executor.ts";
import { runCopyJob } from "./run-copy-job.ts";

/** Does every job at once on the calling thread, which is quicker for little data. */
export function inlineExecutor(): CopyExecutor {
  return {
    concurrency: 1,
    run: async (job) => runCopyJob(job),
    [Symbol.asyncDispose]: async () => {},
  };
}
