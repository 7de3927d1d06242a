import { type Clock } from "../../util/clock.ts";
import { isPolyvisorError, messageOf } from "../../util/errors.ts";
import type { Logger } from "../../util/logger.ts";
import { WorkQueue } from "./work-queue.ts";

/** What is to happen with a key after it has been looked at. */
export interface ReconcileResult {
  /** Look again after so many milliseconds, even if nothing happens. */
  readonly requeueAfter?: number;
}

/**
 * Looks at the state behind a key as it is and brings it one step or more towards what is wanted. It is not told what
 * has happened: a lost or repeated event, or a crash between any two steps, leads to the same end.
 */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;

/** Runs a {@link Reconcile} for the keys that are added, a key never twice at a time. */
export class Controller {
  readonly name: string;
  readonly #queue: WorkQueue<string>;
  readonly #reconcile: Reconcile;
  readonly #concurrency: number;
  readonly #logger: Logger;

  constructor(options: {
    readonly name: string;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Keys that are looked at at the same time. */
    readonly concurrency: number;
    readonly reconcile: Reconcile;
  }) {
    this.name = options.name;
    this.#queue = new WorkQueue(options.clock);
    this.#reconcile = options.reconcile;
    this.#concurrency = options.concurrency;
    this.#logger = options.logger;
  }

  /** Asks for a look at a key. */
  enqueue(key: string): void {
    this.#queue.add(key);
  }

  /** Works until aborted; resolves when the last look has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const close = (): void => this.#queue.close();
    if (signal.aborted) close();
    signal.addEventListener("abort", close, { once: true });
    await Promise.all(Array.from({ length: this.#concurrency }, () => this.#work(signal)));
    signal.removeEventListener("abort", close);
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const key = await this.#queue.take();
      if (key === undefined) return;
      await this.#look(key, signal);
      this.#queue.done(key);
    }
  }

  async #look(key: string, signal: AbortSignal): Promise<void> {
    try {
      const result = await this.#reconcile(key, signal);
      this.#queue.forgetFailures(key);
      if (result?.requeueAfter !== undefined) this.#queue.addAfter(key, result.requeueAfter);
    } catch (error) {
      if (signal.aborted) return;
      // A conflict is the normal end of a look at a state that has moved on; it is no failure.
      const level = isPolyvisorError(error, "POLYVISOR_CONFLICT") ? "debug" : "warn";
      this.#logger[level](
        { controller: this.name, key, error: messageOf(error) },
        "will look again after a pause",
      );
      this.#queue.addAfterFailure(key);
    }
  }
}
