import type { Kind, Kinds } from "../../api/kinds.ts";
import { keyOf, type ResourceKey } from "../../api/meta.ts";
import type { ResourceStore } from "../../store/resource-store.ts";
import { type Clock, sleep } from "../../util/clock.ts";
import { isPolyvisorError, messageOf } from "../../util/errors.ts";
import type { Logger } from "../../util/logger.ts";
import { backoffDelay } from "./work-queue.ts";

/** Called after the cache has changed, with what was there and what is there. */
export type CacheListener<R> = (previous: R | undefined, next: R | undefined) => void;

/** Says under which values a resource is found. */
export type IndexFunction<R> = (resource: R) => readonly string[];

/**
 * A copy of all resources of a kind that follows the store, with indexes. It lags a little behind the store: what is
 * about to be changed is read from the store itself.
 */
export class ResourceCache<K extends Kind> {
  readonly kind: K;
  readonly #resources = new Map<ResourceKey, Kinds[K]>();
  readonly #listeners: CacheListener<Kinds[K]>[] = [];
  readonly #indexes = new Map<
    string,
    { readonly of: IndexFunction<Kinds[K]>; readonly keys: Map<string, Set<ResourceKey>> }
  >();

  constructor(kind: K) {
    this.kind = kind;
  }

  /** Makes resources findable by values. To be called before {@link follow}. */
  addIndex(name: string, of: IndexFunction<Kinds[K]>): void {
    this.#indexes.set(name, { of, keys: new Map() });
  }

  /** To be called before {@link follow}. */
  onChange(listener: CacheListener<Kinds[K]>): void {
    this.#listeners.push(listener);
  }

  get(key: ResourceKey): Kinds[K] | undefined {
    return this.#resources.get(key);
  }

  values(): IterableIterator<Kinds[K]> {
    return this.#resources.values();
  }

  /** The resources that an index has under `value`. */
  findBy(index: string, value: string): Kinds[K][] {
    const keys = this.#indexes.get(index)?.keys.get(value) ?? [];
    return [...keys].flatMap((key) => this.#resources.get(key) ?? []);
  }

  /**
   * Follows the store until aborted. `onSynced` is called once, when the cache first holds everything. When the store
   * fails or has forgotten the cache's place, it lists anew after a pause and reports the differences.
   */
  async follow(
    store: ResourceStore,
    options: {
      readonly signal: AbortSignal;
      readonly clock: Clock;
      readonly logger: Logger;
      readonly onSynced: () => void;
    },
  ): Promise<void> {
    const { signal, clock, logger, onSynced } = options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const list = await store.list(this.kind);
        this.#replaceAll(list.items);
        onSynced();
        failures = 0;
        const events = store.watch(this.kind, { resourceVersion: list.resourceVersion, signal });
        for await (const { type, resource } of events) {
          this.#set(keyOf(resource.metadata), type === "DELETED" ? undefined : resource);
        }
        if (!signal.aborted) return;
      } catch (error) {
        if (signal.aborted) return;
        if (isPolyvisorError(error, "POLYVISOR_EXPIRED")) continue;
        failures += 1;
        logger.error({ kind: this.kind, error: messageOf(error) }, "cannot read from the store");
        await sleep(clock, backoffDelay(failures), signal).catch(() => {});
      }
    }
  }

  #replaceAll(items: readonly Kinds[K][]): void {
    const wanted = new Set(items.map((resource) => keyOf(resource.metadata)));
    for (const key of this.#resources.keys()) if (!wanted.has(key)) this.#set(key, undefined);
    for (const resource of items) this.#set(keyOf(resource.metadata), resource);
  }

  #set(key: ResourceKey, next: Kinds[K] | undefined): void {
    const previous = this.#resources.get(key);
    if (previous === next) return;
    if (next === undefined) this.#resources.delete(key);
    else this.#resources.set(key, next);
    for (const { of, keys } of this.#indexes.values()) {
      for (const value of previous === undefined ? [] : of(previous)) {
        const found = keys.get(value);
        found?.delete(key);
        if (found?.size === 0) keys.delete(value);
      }
      for (const value of next === undefined ? [] : of(next)) {
        const found = keys.get(value) ?? new Set();
        keys.set(value, found.add(key));
      }
    }
    for (const listener of this.#listeners) listener(previous, next);
  }
}
