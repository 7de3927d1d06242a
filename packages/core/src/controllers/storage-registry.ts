import type { StorageClass } from "../api/storage-class.ts";
import type { Storage, StorageClassInfo } from "../backend/storage.ts";
import type { Caches } from "./runtime/caches.ts";

/** The storages of the platform by their names, and what they have said of their classes. */
export class StorageRegistry {
  readonly #storages: ReadonlyMap<string, Storage>;
  /** By storage and class. */
  readonly #classes = new Map<string, ReadonlyMap<string, StorageClassInfo>>();

  constructor(storages: readonly Storage[]) {
    this.#storages = new Map(storages.map((storage) => [storage.name, storage]));
  }

  all(): Storage[] {
    return [...this.#storages.values()];
  }

  /** The storage with this name. */
  find(name: string | undefined): Storage | undefined {
    return name === undefined ? undefined : this.#storages.get(name);
  }

  /** The storage behind a class. */
  of(storageClass: StorageClass): Storage | undefined {
    return this.#storages.get(storageClass.provisioner);
  }

  /** The storage behind the class with this name. */
  ofClass(name: string | undefined, caches: Caches): Storage | undefined {
    const storageClass = name === undefined ? undefined : caches.of("StorageClass").get(name);
    return storageClass && this.of(storageClass);
  }

  /** What a storage says of its classes; kept for {@link describe}. */
  async learnClasses(storage: Storage, signal: AbortSignal): Promise<readonly StorageClassInfo[]> {
    const classes = await storage.classes(signal);
    this.#classes.set(storage.name, new Map(classes.map((info) => [info.name, info])));
    return classes;
  }

  /** What the storage behind a class says of it; asked for when it was not asked before. */
  async describe(
    storageClass: StorageClass,
    signal: AbortSignal,
  ): Promise<StorageClassInfo | undefined> {
    const storage = this.of(storageClass);
    if (storage === undefined) return undefined;
    const { name } = storageClass.metadata;
    const known = this.#classes.get(storage.name)?.get(name);
    if (known) return known;
    const classes = await this.learnClasses(storage, signal);
    return classes.find((info) => info.name === name);
  }
}
