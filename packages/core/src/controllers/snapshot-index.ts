import { keyOf } from "../api/meta.ts";
import type { VirtualDiskSnapshot } from "../api/virtual-disk-snapshot.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { Caches } from "./runtime/caches.ts";

/** Names snapshots by their disk: an index of their cache. */
const SNAPSHOTS_BY_DISK = "disk";

/** To be called before the caches follow the store. */
export function indexSnapshots(caches: Caches): void {
  caches
    .of("VirtualDiskSnapshot")
    .addIndex(SNAPSHOTS_BY_DISK, ({ metadata, spec }) => [
      `${metadata.namespace}/${spec.virtualDiskName}`,
    ]);
}

/** Snapshots of a disk that are being taken. */
export function snapshotsBeingTakenOf(
  { metadata }: Pick<VirtualDisk, "metadata">,
  caches: Caches,
): VirtualDiskSnapshot[] {
  return caches
    .of("VirtualDiskSnapshot")
    .findBy(SNAPSHOTS_BY_DISK, keyOf(metadata))
    .filter(({ status }) => status?.phase === "InProgress");
}
