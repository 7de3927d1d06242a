interface Waiter<Item> {
  readonly resolve: (result: IteratorResult<Item, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Items that one side pushes without ever waiting and the other side takes as an async iterator.
 *
 * It holds whatever is pushed; its owner bounds it through {@link AsyncQueue.size} and
 * {@link AsyncQueue.clear}.
 */
export class AsyncQueue<Item> {
  #items: Item[] = [];
  #head = 0;
  readonly #waiters: Waiter<Item>[] = [];
  #end: { readonly error: unknown } | undefined;

  /** Items that no consumer has taken yet. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Whether {@link AsyncQueue.end} was called. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Adds an item; ignored after the end. */
  push(item: Item): void {
    if (this.#end !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter.resolve({ done: false, value: item });
  }

  /** Ends the queue. Items already in it are still delivered, then `error`, if any, is thrown. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    for (const waiter of this.#waiters.splice(0)) this.#finish(waiter);
  }

  /** Forgets the items that are in the queue. */
  clear(): void {
    this.#items = [];
    this.#head = 0;
  }

  /** The next item, or the end. */
  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.size > 0) {
      const value = this.#items[this.#head]!;
      this.#head += 1;
      if (this.#head > 64 && this.#head * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      return Promise.resolve({ done: false, value });
    }
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#end === undefined) this.#waiters.push(waiter);
      else this.#finish(waiter);
    });
  }

  #finish(waiter: Waiter<Item>): void {
    if (this.#end?.error === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(this.#end.error);
  }
}
