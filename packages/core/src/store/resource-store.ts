import type { Kind, Kinds } from "../api/kinds.ts";
import type { ObjectMeta } from "../api/meta.ts";
import type { FieldSelector, LabelSelector } from "../api/selectors.ts";

/** Names one resource of a kind. */
export interface ResourceName {
  readonly name: string;
  /** Absent for kinds that belong to no namespace. */
  readonly namespace?: string;
}

/** Which resources of a kind. */
export interface Selection {
  /** Default: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: LabelSelector;
  readonly fieldSelector?: FieldSelector;
}

/** What to list, and how much of it. */
export interface ListOptions extends Selection {
  /** At most so many; the rest is had with `continue`. Default: all. */
  readonly limit?: number;
  /** Token of an earlier list: goes on behind it. */
  readonly continue?: string;
}

/** A list as of one revision. */
export interface ResourceList<R> {
  /** Sorted by namespace and name. */
  readonly items: readonly R[];
  /** A watch from here misses nothing. */
  readonly resourceVersion: string;
  /** Present when there is more. */
  readonly continue?: string;
}

/** A change of one resource. */
export interface WatchEvent<R> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  /** For `DELETED`: as it last was. */
  readonly resource: R;
}

/** What to watch, and from where. */
export interface WatchOptions extends Selection {
  /** Events after this revision. Default: from the call on, even if nobody iterates yet. */
  readonly resourceVersion?: string;
  readonly signal?: AbortSignal;
}

/** A resource about to be stored: the store fills in the rest of the metadata. */
export type NewResource<R extends Kinds[Kind]> = Omit<R, "metadata"> & {
  readonly metadata: ResourceName &
    Pick<ObjectMeta, "labels" | "annotations" | "finalizers" | "ownerReferences">;
};

/** What must be true of a resource for a deletion to go ahead. */
export interface DeletePreconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/**
 * Keeps resources, with one total order of changes over all kinds.
 *
 * What it hands out is frozen and may be shared. Writes are compare-and-swap on `metadata.resourceVersion`, and reject
 * with `POLYVISOR_CONFLICT` when the resource has changed since.
 */
export interface ResourceStore extends AsyncDisposable {
  /** @throws `POLYVISOR_ALREADY_EXISTS` when there is one of that name. */
  create<K extends Kind>(kind: K, resource: NewResource<Kinds[K]>): Promise<Kinds[K]>;

  get<K extends Kind>(kind: K, name: ResourceName): Promise<Kinds[K] | undefined>;

  /** @throws `POLYVISOR_EXPIRED` when the revision of `continue` is no longer kept. */
  list<K extends Kind>(kind: K, options?: ListOptions): Promise<ResourceList<Kinds[K]>>;

  /**
   * Replaces everything but the status. Raises `metadata.generation` when more than metadata changed. Removes the
   * resource when it is being deleted and its last finalizer is gone. A write that changes nothing makes no event.
   *
   * @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_CONFLICT`.
   */
  update<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]>;

  /** Replaces the status alone. @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_CONFLICT`. */
  updateStatus<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]>;

  /**
   * Asks for deletion: removes the resource at once when it has no finalizers, else sets `deletionTimestamp`. When it
   * is gone, what it owns is deleted the same way.
   *
   * @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_CONFLICT` when a precondition does not hold.
   */
  delete(kind: Kind, name: ResourceName, preconditions?: DeletePreconditions): Promise<void>;

  /**
   * The changes of a kind, in order and each once. Ends when the signal is aborted or the store is closed.
   *
   * @throws `POLYVISOR_EXPIRED` when the revision is no longer kept or the reader fell too far behind: list again.
   */
  watch<K extends Kind>(kind: K, options?: WatchOptions): AsyncIterable<WatchEvent<Kinds[K]>>;
}
