import type { StorageClass } from "../api/storage-class.ts";
import { DEFAULT_STORAGE_CLASS_ANNOTATION } from "../api/storage-class.ts";
import type { Storage } from "../backend/storage.ts";

/** The storages of the platform by their names. */
export class StorageRegistry {
  readonly #storages: ReadonlyMap<string, Storage>;

  constructor(storages: readonly Storage[]) {
    this.#storages = new Map(storages.map((storage) => [storage.name, storage]));
  }

  all(): Storage[] {
    return [...this.#storages.values()];
  }

  /** The storage behind a class. */
  of(storageClass: StorageClass): Storage | undefined {
    return this.#storages.get(storageClass.provisioner);
  }
}

/** The class that disks get that name none: the marked one, of several the first by name. */
export function defaultStorageClass(classes: Iterable<StorageClass>): StorageClass | undefined {
  return [...classes]
    .filter(({ metadata }) => metadata.annotations?.[DEFAULT_STORAGE_CLASS_ANNOTATION] === "true")
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}
