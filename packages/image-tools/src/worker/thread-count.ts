import { availableParallelism } from "node:os";

const MAX_THREADS = 4;

/** Jobs that a thread is given at the same time, so that it need not wait for the next one. */
export const JOBS_PER_THREAD = 2;

/** How many threads are used: what was asked for, else one for each processor, at most 4. */
export function threadCount(wanted: number | undefined): number {
  return wanted ?? Math.min(availableParallelism(), MAX_THREADS);
}
