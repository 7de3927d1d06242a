import { DEFAULT_STORAGE_CLASS_ANNOTATION } from "../api/storage-class.ts";
import { keyOf } from "../api/meta.ts";
import type { Storage, StorageClassInfo } from "../backend/storage.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";

/** How often storages are asked for their classes, in milliseconds. */
const INTERVAL = 60_000;

/** Shows what storages offer as StorageClasses. What a user has changed or deleted there stays so. */
export class StorageClassController implements RunnableController {
  readonly name = "StorageClass controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  /** Classes that were made or seen before: one that is gone was deleted by a user. */
  readonly #seen = new Set<string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    const { clock, logger, caches } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 4,
      reconcile: (name, signal) => this.#reconcile(name, signal),
    });
    caches.onChange("StorageClass", ({ metadata }) => this.#seen.add(keyOf(metadata)));
  }

  run(signal: AbortSignal): Promise<void> {
    for (const { name } of this.#context.storages.all()) this.#controller.enqueue(name);
    return this.#controller.run(signal);
  }

  async #reconcile(name: string, signal: AbortSignal): Promise<ReconcileResult> {
    const storage = this.#context.storages.all().find((candidate) => candidate.name === name);
    if (storage) await this.#show(storage, signal);
    return { requeueAfter: INTERVAL };
  }

  async #show(storage: Storage, signal: AbortSignal): Promise<void> {
    for (const info of await this.#context.storages.learnClasses(storage, signal)) {
      await this.#showClass(storage, info);
      if (info.snapshotClass !== undefined)
        await this.#showSnapshotClass(storage, info.snapshotClass);
    }
  }

  async #showClass(storage: Storage, info: StorageClassInfo): Promise<void> {
    const { store } = this.#context;
    const { name, isDefault, bindingMode, expandable } = info;
    if (this.#seen.has(name) || (await store.get("StorageClass", { name }))) return;
    await store.create("StorageClass", {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: {
        name,
        ...(isDefault && { annotations: { [DEFAULT_STORAGE_CLASS_ANNOTATION]: "true" } }),
      },
      provisioner: storage.name,
      volumeBindingMode: bindingMode,
      reclaimPolicy: "Delete",
      allowVolumeExpansion: expandable,
    });
  }

  async #showSnapshotClass({ name: driver }: Storage, name: string): Promise<void> {
    const { store } = this.#context;
    if (await store.get("VolumeSnapshotClass", { name })) return;
    await store.create("VolumeSnapshotClass", {
      apiVersion: "snapshot.storage.k8s.io/v1",
      kind: "VolumeSnapshotClass",
      metadata: { name },
      driver,
      deletionPolicy: "Delete",
    });
  }
}
