import type { Kind, Kinds } from "../../api/kinds.ts";
import type { ResourceStore } from "../../store/resource-store.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/logger.ts";
import { ResourceCache } from "./resource-cache.ts";

/** One {@link ResourceCache} a kind, made when it is first asked for. */
export class Caches {
  readonly #caches = new Map<Kind, ResourceCache<Kind>>();

  of<K extends Kind>(kind: K): ResourceCache<K> {
    let cache = this.#caches.get(kind);
    if (cache === undefined) {
      cache = new ResourceCache(kind) as unknown as ResourceCache<Kind>;
      this.#caches.set(kind, cache);
    }
    return cache as unknown as ResourceCache<K>;
  }

  /** Calls `notify` with every resource of a kind that has changed, as it was and as it is. */
  onChange<K extends Kind>(kind: K, notify: (resource: Kinds[K]) => void): void {
    this.of(kind).onChange((previous, next) => {
      if (previous) notify(previous);
      if (next) notify(next);
    });
  }

  /** Follows the store with every cache. `synced` resolves when all of them hold everything; `ended` after the abort. */
  follow(
    store: ResourceStore,
    options: { readonly signal: AbortSignal; readonly clock: Clock; readonly logger: Logger },
  ): { readonly synced: Promise<void>; readonly ended: Promise<void> } {
    const followers = [...this.#caches.values()].map((cache) => {
      const { promise: synced, resolve: onSynced } = Promise.withResolvers<void>();
      return { synced, ended: cache.follow(store, { ...options, onSynced }) };
    });
    return {
      synced: Promise.all(followers.map(({ synced }) => synced)).then(() => {}),
      ended: Promise.all(followers.map(({ ended }) => ended)).then(() => {}),
    };
  }
}
