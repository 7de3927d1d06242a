import type { Kind, Kinds } from "../api/kinds.ts";
import type { Resource } from "../api/meta.ts";
import { BoundedChannel } from "../util/bounded-channel.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { WatchEvent, WatchOptions } from "./resource-store.ts";
import { isSelected } from "./selection.ts";

interface Change {
  readonly revision: number;
  readonly kind: Kind;
  readonly type: WatchEvent<Resource>["type"];
  readonly resource: Resource;
  /** As it was before; decides whether it enters or leaves a selection. */
  readonly previous: Resource | undefined;
}

interface Subscriber {
  readonly options: WatchOptions;
  readonly channel: BoundedChannel<WatchEvent<Resource>>;
}

/** Hands changes to those who watch, and keeps the last ones for those who come back. */
export class WatchHub {
  readonly #historySize: number;
  readonly #queueSize: number;
  #history: Change[] = [];
  /** Changes up to this revision are no longer kept. */
  #forgotten = 0;
  readonly #subscribers = new Map<Kind, Set<Subscriber>>();
  #closed = false;

  constructor(options: { historySize: number; queueSize: number }) {
    this.#historySize = options.historySize;
    this.#queueSize = options.queueSize;
  }

  publish(change: Change): void {
    this.#history.push(change);
    // Twice the size before half of it goes, so that forgetting costs nothing per change.
    if (this.#history.length >= 2 * this.#historySize) {
      this.#forgotten = this.#history[this.#historySize - 1]?.revision ?? this.#forgotten;
      this.#history = this.#history.slice(this.#historySize);
    }
    for (const subscriber of this.#subscribers.get(change.kind) ?? []) deliver(subscriber, change);
  }

  subscribe<K extends Kind>(
    kind: K,
    options: WatchOptions,
    currentRevision: number,
  ): AsyncIterableIterator<WatchEvent<Kinds[K]>> {
    const since =
      options.resourceVersion === undefined ? currentRevision : Number(options.resourceVersion);
    if (!Number.isSafeInteger(since) || since > currentRevision) {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        `resourceVersion ${JSON.stringify(options.resourceVersion)} is not one of this store: list, and watch from the list's resourceVersion`,
      );
    }
    if (since < this.#forgotten) throw expired(`revision ${since} is no longer kept`);
    const subscribers = this.#subscribers.get(kind) ?? new Set();
    this.#subscribers.set(kind, subscribers);
    const stop = (): void => {
      subscribers.delete(subscriber);
      options.signal?.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      stop();
      subscriber.channel.end();
    };
    const subscriber: Subscriber = {
      options,
      channel: new BoundedChannel({
        capacity: this.#queueSize,
        onOverflow: () => {
          stop();
          return expired("the reader of this watch fell too far behind");
        },
        onReturn: stop,
      }),
    };
    subscribers.add(subscriber);
    if (options.signal?.aborted || this.#closed) onAbort();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    for (const change of this.#history) {
      if (change.revision > since && change.kind === kind) deliver(subscriber, change);
    }
    return subscriber.channel as unknown as AsyncIterableIterator<WatchEvent<Kinds[K]>>;
  }

  close(): void {
    this.#closed = true;
    for (const subscribers of this.#subscribers.values()) {
      for (const { channel } of subscribers) channel.end();
    }
    this.#subscribers.clear();
  }
}

function expired(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_EXPIRED", `${reason}: list again and watch from there`);
}

function deliver({ options, channel }: Subscriber, change: Change): void {
  const { resource, previous, type } = change;
  const was = previous !== undefined && isSelected(previous, options);
  const is = type !== "DELETED" && isSelected(resource, options);
  if (is) channel.push({ type: was ? "MODIFIED" : "ADDED", resource });
  else if (was) channel.push({ type: "DELETED", resource });
}
