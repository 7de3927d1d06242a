/** Lets one operation at a time work under each name, in the order of their calls. */
export class NamedLocks {
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Waits for earlier operations of the same name, then runs `operation`.
   *
   * @throws the reason of `signal` when it aborts before the turn comes.
   */
  async run<Result>(
    name: string,
    signal: AbortSignal | undefined,
    operation: () => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted();
    const earlier = this.#tails.get(name) ?? Promise.resolve();
    const { promise: done, resolve: release } = Promise.withResolvers<void>();
    const tail = earlier.then(() => done);
    this.#tails.set(name, tail);
    try {
      await waitUnlessAborted(earlier, signal);
      return await operation();
    } finally {
      release();
      void tail.then(() => {
        if (this.#tails.get(name) === tail) this.#tails.delete(name);
      });
    }
  }
}

async function waitUnlessAborted(
  earlier: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal === undefined) return earlier;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([earlier, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
