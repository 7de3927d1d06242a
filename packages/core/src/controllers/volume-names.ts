import type { VirtualDiskSnapshot } from "../api/virtual-disk-snapshot.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { AnyVirtualImage } from "../api/virtual-image.ts";

/** The name of the volume behind a disk, and of the disk's own image while it is being filled. */
export function volumeName(disk: Pick<VirtualDisk, "metadata">): string {
  return `vd-${disk.metadata.uid}`;
}

/** The name under which the image store keeps an image; also that of the volume with its content. */
export function imageStoreName(image: AnyVirtualImage): string {
  const prefix = image.kind === "VirtualImage" ? "vi" : "cvi";
  return `${prefix}-${image.metadata.uid}`;
}

/** The name under which the storage keeps a snapshot of a disk. */
export function snapshotVolumeName(snapshot: Pick<VirtualDiskSnapshot, "metadata">): string {
  return `vds-${snapshot.metadata.uid}`;
}
