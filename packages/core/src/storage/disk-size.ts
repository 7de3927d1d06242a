import { formatBytes, parseQuantity } from "../util/quantity.ts";

const MEBIBYTE = 2 ** 20;

/** Sizes of volumes are multiples of 1 MiB. */
function alignSize(bytes: number): number {
  return Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;
}

/** A size, or why there is none. */
export type SizePlan =
  { readonly bytes: number } | { readonly bytes: undefined; readonly message: string };

/**
 * The size of a volume for a new disk: what the spec says, at least as much as the source needs; without a word in the
 * spec, as much as the source needs.
 *
 * @param sourceBytes The virtual size of the source; `undefined` for a blank disk.
 * @param source What the source is called in messages: `image`, or `snapshot`. A disk of a snapshot is never too small:
 *   it gets the size of the snapshot.
 */
export function planSize(
  wanted: string | undefined,
  sourceBytes: number | undefined,
  source: "image" | "snapshot" = "image",
): SizePlan {
  const needed = alignSize(sourceBytes ?? 0);
  if (wanted === undefined) return { bytes: needed };
  const bytes = alignSize(parseQuantity(wanted));
  if (bytes >= needed) return { bytes };
  if (source === "snapshot") return { bytes: needed };
  return {
    bytes: undefined,
    message: `spec.persistentVolumeClaim.size (${wanted}) is smaller than the image, which needs ${formatBytes(needed)}: set it to at least that, or leave it out.`,
  };
}

/** What is known when the size of a disk that is there is compared with its spec. */
export interface ResizeInputs {
  /** `spec.persistentVolumeClaim.size`. */
  readonly wanted: string | undefined;
  readonly capacityBytes: number;
  readonly storageClassReady: boolean;
  /** `allowVolumeExpansion` of the class, and the storage can. */
  readonly expandable: boolean;
  readonly storageClassName: string;
  readonly snapshotting: boolean;
  readonly migrating: boolean;
}

/** Whether a disk is to grow. */
export type ResizeDecision =
  | { readonly action: "none" }
  | { readonly action: "grow"; readonly bytes: number }
  | { readonly action: "wait"; readonly message: string };

/** Decides whether a disk grows: only a larger size counts, and not while something else is done with it. */
export function decideResize(inputs: ResizeInputs): ResizeDecision {
  const { wanted, capacityBytes, storageClassName } = inputs;
  const bytes = wanted === undefined ? 0 : alignSize(parseQuantity(wanted));
  if (bytes <= capacityBytes) return { action: "none" };
  const wait = (message: string): ResizeDecision => ({ action: "wait", message });
  const busy = "The virtual disk cannot be selected for resizing as it is currently";
  if (inputs.snapshotting) return wait(`${busy} snapshotting.`);
  if (inputs.migrating) return wait(`${busy} being migrated.`);
  if (!inputs.storageClassReady) {
    return wait("Disk resizing is not allowed: the StorageClass is not ready.");
  }
  if (!inputs.expandable) {
    return wait(
      `Disk resizing is not allowed: volumes of StorageClass "${storageClassName}" cannot be expanded: create a larger disk and copy the content.`,
    );
  }
  return { action: "grow", bytes };
}
