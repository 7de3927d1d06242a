import { keyOf } from "../api/meta.ts";
import type { VirtualDiskSnapshot } from "../api/virtual-disk-snapshot.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import { DISK_SNAPSHOT_SOURCE } from "./disk-snapshot-source.ts";
import type { Caches } from "./runtime/caches.ts";

/** To be called before the caches follow the store. */
export function indexSnapshots(caches: Caches): void {
  caches
    .of("VirtualDiskSnapshot")
    .addIndex(DISK_SNAPSHOT_SOURCE, ({ metadata, spec }) => [
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
    .findBy(DISK_SNAPSHOT_SOURCE, keyOf(metadata))
    .filter(({ status }) => status?.phase === "InProgress");
}
