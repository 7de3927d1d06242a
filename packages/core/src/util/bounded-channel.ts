/**
 * A queue between one producer that never waits and one consumer that iterates.
 *
 * When the consumer falls `capacity` items behind, the channel drops what it holds and ends with the error that
 * `onOverflow` makes: the consumer is told that it lost its place instead of memory growing without limit.
 */
export class BoundedChannel<T> implements AsyncIterableIterator<T> {
  #items: T[] = [];
  #head = 0;
  #waiter: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #ended = false;
  #error: unknown;
  readonly #capacity: number;
  readonly #onOverflow: () => Error;
  readonly #onReturn: () => void;

  constructor(options: { capacity: number; onOverflow: () => Error; onReturn?: () => void }) {
    this.#capacity = options.capacity;
    this.#onOverflow = options.onOverflow;
    this.#onReturn = options.onReturn ?? (() => {});
  }

  /** Hands over one item; does nothing once the channel has ended. */
  push(item: T): void {
    if (this.#ended) return;
    if (this.#waiter) {
      this.#waiter.resolve({ value: item, done: false });
      this.#waiter = undefined;
      return;
    }
    if (this.#items.length - this.#head >= this.#capacity) {
      this.#drop();
      this.end(this.#onOverflow());
      return;
    }
    this.#items.push(item);
  }

  /** Ends the iteration after the items that are queued; with `error` it then throws. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (!waiter) return;
    if (error === undefined) waiter.resolve({ value: undefined, done: true });
    else waiter.reject(error);
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#items.length) {
      const value = this.#items[this.#head] as T;
      this.#head += 1;
      if (this.#head === this.#items.length) this.#drop();
      return { value, done: false };
    }
    if (this.#ended) {
      const error = this.#error;
      this.#error = undefined;
      if (error !== undefined) throw error;
      return { value: undefined, done: true };
    }
    this.#waiter = Promise.withResolvers<IteratorResult<T>>();
    return this.#waiter.promise;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#drop();
    this.end();
    this.#onReturn();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #drop(): void {
    this.#items = [];
    this.#head = 0;
  }
}
