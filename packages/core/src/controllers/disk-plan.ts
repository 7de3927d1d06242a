import type { ConditionInput } from "../api/conditions.ts";
import type { StorageClass } from "../api/storage-class.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { AnyVirtualImage } from "../api/virtual-image.ts";
import { condition } from "../machine/machine-conditions.ts";
import { formatBytes, parseQuantity } from "../util/quantity.ts";

/** What a disk is to be made of: nothing but zeros, or a stored image, or an image that is yet to be fetched. */
export type DiskSource =
  | { readonly type: "blank" }
  | { readonly type: "image"; readonly image: AnyVirtualImage | undefined }
  | { readonly type: "http" };

/** What is wanted and missing before a disk can be made. */
export interface DiskReadiness {
  readonly conditions: readonly ConditionInput[];
  /** True when nothing is missing. */
  readonly ready: boolean;
}

/** Judges source and storage class of a disk. `hasStorage` says whether there is a storage behind the class. */
export function judgeDisk(
  disk: VirtualDisk,
  source: DiskSource,
  storageClass: StorageClass | undefined,
  hasStorage: boolean,
): DiskReadiness {
  const conditions = [judgeSource(disk, source), judgeStorageClass(disk, storageClass, hasStorage)];
  return { conditions, ready: conditions.every(({ status }) => status === "True") };
}

function judgeSource(disk: VirtualDisk, source: DiskSource): ConditionInput {
  const type = "DatasourceReady";
  if (source.type !== "image") return condition(type, "True", "DatasourceReady");
  const { kind = "VirtualImage", name = "" } = disk.spec.dataSource?.objectRef ?? {};
  const prefix = kind === "VirtualImage" ? "Image" : "ClusterImage";
  const { image } = source;
  if (image === undefined) {
    const where = kind === "VirtualImage" ? ` in namespace "${disk.metadata.namespace}"` : "";
    return condition(
      type,
      "False",
      `${prefix}NotFound`,
      `spec.dataSource.objectRef: ${kind} "${name}" does not exist${where}: create it or correct the name.`,
    );
  }
  if (image.status?.phase === "Ready" && image.status.cdrom === true) {
    return condition(
      type,
      "False",
      `${prefix}NotReady`,
      `spec.dataSource.objectRef: ${kind} "${name}" is an ISO image, and a disk cannot be made of one: choose a disk image.`,
    );
  }
  // An image that is being deleted waits for the disks that are being filled from it, and takes no others.
  const deleting = image.metadata.deletionTimestamp !== undefined;
  const usable = deleting ? disk.status?.phase === "Provisioning" : image.status?.phase === "Ready";
  if (!usable) {
    return condition(
      type,
      "False",
      `${prefix}NotReady`,
      `spec.dataSource.objectRef: ${kind} "${name}" is ${image.status?.phase ?? "Pending"}: waiting for it to be Ready.`,
    );
  }
  return condition(type, "True", "DatasourceReady");
}

function judgeStorageClass(
  disk: VirtualDisk,
  storageClass: StorageClass | undefined,
  hasStorage: boolean,
): ConditionInput {
  if (storageClass && hasStorage)
    return condition("StorageClassReady", "True", "StorageClassReady");
  if (storageClass) {
    const unknown = `StorageClass "${storageClass.metadata.name}" is of provisioner "${storageClass.provisioner}", and the platform has no storage of that name: add that storage or choose another class.`;
    return condition("StorageClassReady", "False", "StorageClassNotReady", unknown);
  }
  const name = disk.spec.persistentVolumeClaim?.storageClassName;
  const message =
    name === undefined
      ? "No StorageClass is marked as default: set spec.persistentVolumeClaim.storageClassName."
      : `spec.persistentVolumeClaim.storageClassName: StorageClass "${name}" does not exist: create it or choose another.`;
  return condition("StorageClassReady", "False", "StorageClassNotReady", message);
}

const MEBIBYTE = 2 ** 20;

/** The size of a volume for a disk, or why there is none. Sizes are aligned up to 1 MiB. */
export function planSize(
  disk: VirtualDisk,
  imageBytes: number | undefined,
): { readonly bytes: number } | { readonly bytes: undefined; readonly message: string } {
  const wanted = disk.spec.persistentVolumeClaim?.size;
  const align = (bytes: number): number => Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;
  if (wanted === undefined) return { bytes: align(imageBytes ?? 0) };
  const bytes = align(parseQuantity(wanted));
  if (imageBytes === undefined || bytes >= imageBytes) return { bytes };
  return {
    bytes: undefined,
    message: `spec.persistentVolumeClaim.size (${wanted}) is smaller than the image, which needs ${formatBytes(align(imageBytes))}: set it to at least that, or leave it out.`,
  };
}
