import { AsyncQueue } from "./async-queue.ts";

/** One item of a subscription. */
export type EventItem<Payload> =
  | { readonly type: "event"; readonly event: Payload }
  /** Events were lost because the consumer was too slow: list the objects anew. */
  | { readonly type: "overflow" };

/**
 * The events of one subscription, for one consumer.
 *
 * Iterating throws the connection's `RpcError` once the connection has ended; events are not
 * replayed, so a consumer subscribes on a new connection and lists the objects anew. Leaving the
 * loop or disposing ends the subscription at the daemon.
 */
export interface EventSubscription<Payload>
  extends AsyncIterable<EventItem<Payload>>, AsyncDisposable {
  [Symbol.asyncIterator](): AsyncIterator<EventItem<Payload>, undefined>;
}

/** The bounded buffer behind an {@link EventSubscription}. */
export class BufferedSubscription<Payload> implements EventSubscription<Payload> {
  readonly #queue = new AsyncQueue<EventItem<Payload>>();
  readonly #bufferSize: number;
  readonly #onDispose: () => Promise<void>;
  #disposal: Promise<void> | undefined;

  constructor(bufferSize: number, onDispose: () => Promise<void>) {
    this.#bufferSize = bufferSize;
    this.#onDispose = onDispose;
  }

  /** Adds an event. When the buffer is full, one overflow item first replaces what is in it. */
  push(event: Payload): void {
    if (this.#queue.size >= this.#bufferSize) this.overflow();
    this.#queue.push({ type: "event", event });
  }

  /** Forgets what is buffered and tells the consumer so. */
  overflow(): void {
    this.#queue.clear();
    this.#queue.push({ type: "overflow" });
  }

  /** Ends the iteration; with `error` it throws after the buffered events. */
  end(error?: unknown): void {
    this.#queue.end(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<EventItem<Payload>, undefined> {
    return {
      next: () => this.#queue.next(),
      return: async () => {
        await this[Symbol.asyncDispose]();
        return { done: true, value: undefined };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.clear();
    this.#queue.end();
    this.#disposal ??= this.#onDispose();
    await this.#disposal;
  }
}
