/**
 * Things to dispose of, last in first out. A failing one does not keep the others from being disposed of.
 *
 * Stands in for `AsyncDisposableStack`, which Node 22 does not have.
 */
export class DisposerStack implements AsyncDisposable {
  readonly #disposers: (() => PromiseLike<void> | void)[] = [];

  /** Takes ownership of `resource` and gives it back. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Runs `dispose` when the stack is disposed of. */
  defer(dispose: () => PromiseLike<void> | void): void {
    this.#disposers.push(dispose);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let dispose = this.#disposers.pop(); dispose; dispose = this.#disposers.pop()) {
      try {
        await dispose();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1)
      throw new AggregateError(failures, "several resources failed to close");
  }
}
