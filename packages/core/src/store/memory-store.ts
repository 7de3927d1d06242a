import type { Kind, Kinds } from "../api/kinds.ts";
import {
  describeResource,
  keyOf,
  type ObjectMeta,
  type Resource,
  type ResourceKey,
} from "../api/meta.ts";
import { type Clock, timestamp } from "../util/clock.ts";
import { PolyvisorError } from "../util/errors.ts";
import { frozenCopy, jsonEquals } from "../util/json.ts";
import { type RandomSource, randomUuid } from "../util/random-source.ts";
import { systemClock, systemRandom } from "../util/system.ts";
import type {
  DeletePreconditions,
  ListOptions,
  NewResource,
  ResourceList,
  ResourceName,
  ResourceStore,
  WatchEvent,
  WatchOptions,
} from "./resource-store.ts";
import { isSelected } from "./selection.ts";
import { WatchHub } from "./watch-hub.ts";

/** Where a {@link memoryStore} takes time and chance from, and what it keeps. */
export interface MemoryStoreOptions {
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: the operating system's. */
  readonly random?: RandomSource;
  /** Changes that a watch can go back, at least. Default 10,000. */
  readonly historySize?: number;
  /** Events that a watch may have waiting before it is told to list again. Default 50,000. */
  readonly queueSize?: number;
}

/** A store in memory: the reference for all stores. Everything is gone with the process. */
export function memoryStore(options: MemoryStoreOptions = {}): ResourceStore {
  return new MemoryStore(options);
}

class MemoryStore implements ResourceStore {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #hub: WatchHub;
  readonly #kinds = new Map<Kind, Map<ResourceKey, Resource>>();
  /** Resources by the uid of each of their owners. */
  readonly #dependents = new Map<string, Map<string, { kind: Kind; name: ResourceName }>>();
  #revision = 0;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#hub = new WatchHub({
      historySize: options.historySize ?? 10_000,
      queueSize: options.queueSize ?? 50_000,
    });
  }

  async create<K extends Kind>(kind: K, resource: NewResource<Kinds[K]>): Promise<Kinds[K]> {
    const key = keyOf(resource.metadata);
    if (this.#of(kind).has(key)) {
      throw new PolyvisorError(
        "POLYVISOR_ALREADY_EXISTS",
        `${describeResource(resource)} already exists`,
      );
    }
    const metadata: ObjectMeta = {
      ...resource.metadata,
      uid: randomUuid(this.#random),
      resourceVersion: "",
      generation: 1,
      creationTimestamp: timestamp(this.#clock),
    };
    return this.#write(kind, "ADDED", undefined, { ...resource, metadata });
  }

  async get<K extends Kind>(kind: K, name: ResourceName): Promise<Kinds[K] | undefined> {
    return this.#of(kind).get(keyOf(name));
  }

  async list<K extends Kind>(kind: K, options: ListOptions = {}): Promise<ResourceList<Kinds[K]>> {
    const from = options.continue === undefined ? undefined : decodeToken(options.continue);
    const resourceVersion = from?.resourceVersion ?? String(this.#revision);
    const keys = [...this.#of(kind).keys()].sort();
    const items: Kinds[K][] = [];
    let last: ResourceKey | undefined;
    for (const key of keys) {
      if (from !== undefined && key <= from.after) continue;
      const resource = this.#of(kind).get(key);
      if (resource === undefined || !isSelected(resource, options)) continue;
      if (last !== undefined && items.length === options.limit) {
        return { items, resourceVersion, continue: encodeToken({ resourceVersion, after: last }) };
      }
      items.push(resource);
      last = key;
    }
    return { items, resourceVersion };
  }

  async update<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const stored = this.#current(kind, resource);
    const { metadata, status: _, ...wanted } = resource as Resource;
    const { metadata: storedMetadata, status, ...before } = stored as Resource;
    const sameContent = jsonEquals(wanted, before);
    const { deletionTimestamp: _deletion, ...wantedMetadata } = metadata;
    const nextMetadata: ObjectMeta = {
      ...wantedMetadata,
      uid: storedMetadata.uid,
      creationTimestamp: storedMetadata.creationTimestamp,
      ...(storedMetadata.deletionTimestamp && {
        deletionTimestamp: storedMetadata.deletionTimestamp,
      }),
      generation: storedMetadata.generation + (sameContent ? 0 : 1),
    };
    if (sameContent && jsonEquals(nextMetadata, storedMetadata)) return stored;
    const next = { ...wanted, ...(status !== undefined && { status }), metadata: nextMetadata };
    if (nextMetadata.deletionTimestamp !== undefined && !nextMetadata.finalizers?.length) {
      return this.#remove(kind, stored, next as Resource);
    }
    return this.#write(kind, "MODIFIED", stored, next as Resource);
  }

  async updateStatus<K extends Kind>(kind: K, resource: Kinds[K]): Promise<Kinds[K]> {
    const stored = this.#current(kind, resource);
    const { status } = resource as Resource;
    if (jsonEquals((stored as Resource).status, status)) return stored;
    return this.#write(kind, "MODIFIED", stored, { ...stored, status });
  }

  async delete(
    kind: Kind,
    name: ResourceName,
    preconditions: DeletePreconditions = {},
  ): Promise<void> {
    const stored = this.#of(kind).get(keyOf(name));
    if (stored === undefined) throw notFound(kind, name);
    const { uid, resourceVersion } = preconditions;
    if (
      (uid !== undefined && uid !== stored.metadata.uid) ||
      (resourceVersion !== undefined && resourceVersion !== stored.metadata.resourceVersion)
    ) {
      throw conflict(stored);
    }
    this.#delete(kind, stored);
  }

  watch<K extends Kind>(kind: K, options: WatchOptions = {}): AsyncIterable<WatchEvent<Kinds[K]>> {
    return this.#hub.subscribe(kind, options, this.#revision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hub.close();
  }

  #of<K extends Kind>(kind: K): Map<ResourceKey, Kinds[K]> {
    let resources = this.#kinds.get(kind);
    if (resources === undefined) {
      resources = new Map();
      this.#kinds.set(kind, resources);
    }
    return resources as Map<ResourceKey, Kinds[K]>;
  }

  #current<K extends Kind>(kind: K, resource: Kinds[K]): Kinds[K] {
    const stored = this.#of(kind).get(keyOf(resource.metadata));
    if (stored === undefined) throw notFound(kind, resource.metadata);
    if (stored.metadata.resourceVersion !== resource.metadata.resourceVersion)
      throw conflict(stored);
    return stored;
  }

  #write<K extends Kind>(
    kind: K,
    type: "ADDED" | "MODIFIED",
    previous: Kinds[K] | undefined,
    next: Resource,
  ): Kinds[K] {
    const resource = this.#stamped(next);
    this.#of(kind).set(keyOf(resource.metadata), resource as Kinds[K]);
    this.#indexOwners(kind, previous, resource);
    this.#hub.publish({ revision: this.#revision, kind, type, resource, previous });
    return resource as Kinds[K];
  }

  #delete(kind: Kind, stored: Resource): void {
    if (!stored.metadata.finalizers?.length) {
      this.#remove(kind, stored as Kinds[Kind], stored);
      return;
    }
    if (stored.metadata.deletionTimestamp !== undefined) return;
    const { metadata } = stored;
    const deletionTimestamp = timestamp(this.#clock);
    this.#write(kind, "MODIFIED", stored as Kinds[Kind], {
      ...stored,
      metadata: { ...metadata, deletionTimestamp, generation: metadata.generation + 1 },
    });
  }

  #remove<K extends Kind>(kind: K, previous: Kinds[K], last: Resource): Kinds[K] {
    const resource = this.#stamped(last);
    this.#of(kind).delete(keyOf(previous.metadata));
    this.#indexOwners(kind, previous, undefined);
    this.#hub.publish({ revision: this.#revision, kind, type: "DELETED", resource, previous });
    const dependents = Array.from(this.#dependents.get(previous.metadata.uid)?.values() ?? []);
    for (const { kind: dependentKind, name } of dependents) {
      const dependent = this.#of(dependentKind).get(keyOf(name));
      if (dependent !== undefined && !this.#hasOtherOwner(dependent, previous.metadata.uid)) {
        this.#delete(dependentKind, dependent);
      }
    }
    return resource as Kinds[K];
  }

  #hasOtherOwner(dependent: Resource, goneUid: string): boolean {
    return (dependent.metadata.ownerReferences ?? []).some(
      ({ kind, name, uid }) =>
        uid !== goneUid &&
        [name, keyOf({ name, ...namespaceOf(dependent) })].some(
          (key) => this.#kinds.get(kind as Kind)?.get(key)?.metadata.uid === uid,
        ),
    );
  }

  #stamped(resource: Resource): Resource {
    this.#revision += 1;
    const metadata = { ...resource.metadata, resourceVersion: String(this.#revision) };
    return frozenCopy({ ...resource, metadata });
  }

  #indexOwners(kind: Kind, previous: Resource | undefined, next: Resource | undefined): void {
    const before = previous?.metadata.ownerReferences;
    const after = next?.metadata.ownerReferences;
    if (before === after) return;
    const metadata = (next ?? previous)?.metadata;
    if (metadata === undefined) return;
    const { name, namespace, uid } = metadata;
    for (const owner of before ?? []) {
      const dependents = this.#dependents.get(owner.uid);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner.uid);
    }
    for (const owner of after ?? []) {
      const dependents = this.#dependents.get(owner.uid) ?? new Map();
      dependents.set(uid, { kind, name: { name, ...(namespace !== undefined && { namespace }) } });
      this.#dependents.set(owner.uid, dependents);
    }
  }
}

function namespaceOf(resource: Resource): { namespace?: string } {
  const { namespace } = resource.metadata;
  return namespace === undefined ? {} : { namespace };
}

function notFound(kind: Kind, name: ResourceName): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_NOT_FOUND",
    `${describeResource({ kind, metadata: name })} does not exist`,
  );
}

function conflict(stored: Resource): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_CONFLICT",
    `${describeResource(stored)} has changed since it was read: read it again and repeat`,
  );
}

interface ListToken {
  readonly resourceVersion: string;
  readonly after: ResourceKey;
}

function encodeToken(token: ListToken): string {
  return Buffer.from(JSON.stringify([token.resourceVersion, token.after])).toString("base64url");
}

function decodeToken(text: string): ListToken {
  try {
    const [resourceVersion, after] = JSON.parse(
      Buffer.from(text, "base64url").toString(),
    ) as unknown[];
    if (typeof resourceVersion === "string" && typeof after === "string")
      return { resourceVersion, after };
  } catch {
    // Falls through to the one error for every malformed token.
  }
  throw new PolyvisorError(
    "POLYVISOR_INVALID",
    "the continue token is not one of this store: list from the start",
  );
}
