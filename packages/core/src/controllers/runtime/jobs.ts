/** How a job stands. */
export type JobState<Progress, Result> =
  | { readonly state: "running"; readonly progress: Progress | undefined }
  | { readonly state: "done"; readonly result: Result }
  | { readonly state: "failed"; readonly error: unknown };

interface Job<Progress, Result> {
  readonly purpose: string;
  readonly abort: AbortController;
  readonly finished: Promise<void>;
  current: JobState<Progress, Result>;
}

/**
 * Long work that goes on while its resource is looked at again and again, one job a key.
 *
 * Jobs are kept in memory only: after a restart of the manager they begin anew, so their work must bear repeating.
 */
export class Jobs<Progress, Result> {
  readonly #jobs = new Map<string, Job<Progress, Result>>();
  readonly #onChange: (key: string) => void;

  /** @param onChange Called with the key when a job has made progress or ended. */
  constructor(onChange: (key: string) => void) {
    this.#onChange = onChange;
  }

  /**
   * How the job for `purpose` stands, begun now if there is none. A job with another purpose under the same key is
   * stopped first and its outcome dropped.
   */
  async ensure(
    key: string,
    purpose: string,
    work: (signal: AbortSignal, report: (progress: Progress) => void) => Promise<Result>,
  ): Promise<JobState<Progress, Result>> {
    if (this.#jobs.get(key)?.purpose !== purpose) await this.stop(key);
    return (this.#jobs.get(key) ?? this.#begin(key, purpose, work)).current;
  }

  /** True when there is a job for `purpose`, going on or ended. */
  has(key: string, purpose: string): boolean {
    return this.#jobs.get(key)?.purpose === purpose;
  }

  /** Ends the job of a key, if there is one, and forgets its outcome. Resolves when its work has really ended. */
  async stop(key: string): Promise<void> {
    const job = this.#jobs.get(key);
    if (job === undefined) return;
    job.abort.abort(new Error("the work is no longer wanted"));
    await job.finished;
    if (this.#jobs.get(key) === job) this.#jobs.delete(key);
  }

  /** Ends all jobs. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#jobs.keys()].map((key) => this.stop(key)));
  }

  #begin(
    key: string,
    purpose: string,
    work: (signal: AbortSignal, report: (progress: Progress) => void) => Promise<Result>,
  ): Job<Progress, Result> {
    const abort = new AbortController();
    const { promise: finished, resolve } = Promise.withResolvers<void>();
    const job: Job<Progress, Result> = {
      purpose,
      abort,
      finished,
      current: { state: "running", progress: undefined },
    };
    this.#jobs.set(key, job);
    const settle = (state: JobState<Progress, Result>): void => {
      job.current = state;
      resolve();
      this.#onChange(key);
    };
    work(abort.signal, (progress) => {
      if (job.current.state !== "running") return;
      job.current = { state: "running", progress };
      this.#onChange(key);
    }).then(
      (result) => settle({ state: "done", result }),
      (error: unknown) => settle({ state: "failed", error }),
    );
    return job;
  }
}
