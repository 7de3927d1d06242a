import { GROUP } from "../api/meta.ts";
import type { AccessMode, StorageClassInfo, VolumeMode, VolumeUse } from "../backend/storage.ts";

/** The order of preference. Source: DVP, "Disk properties based on the storage class". */
const ACCESS_ORDER: readonly AccessMode[] = ["ReadWriteMany", "ReadWriteOnce"];
const VOLUME_ORDER: readonly VolumeMode[] = ["Block", "Filesystem"];

/** What is known when the modes of a volume are chosen. */
export interface VolumeModeInputs {
  readonly diskAnnotations: Readonly<Record<string, string>> | undefined;
  readonly classAnnotations: Readonly<Record<string, string>> | undefined;
  /** Pairs that the storage offers for the class; empty when it is not known what it offers. */
  readonly offered: readonly VolumeUse[];
}

/** The annotations, on a disk or a storage class, that say how volumes are made. */
const ACCESS_MODE_ANNOTATION = `virtualdisk.${GROUP}/access-mode`;
const VOLUME_MODE_ANNOTATION = `virtualdisk.${GROUP}/volume-mode`;
const BINDING_MODE_ANNOTATION = `virtualdisk.${GROUP}/binding-mode`;

/**
 * Chooses how a volume is made: what annotations of the disk say, else those of the class, else the best of what the
 * storage offers, that is RWX + Block, RWX + Filesystem, RWO + Block, RWO + Filesystem. Of a storage that is not known,
 * RWO + Filesystem.
 */
export function chooseVolumeModes(inputs: VolumeModeInputs): VolumeUse {
  const { diskAnnotations, classAnnotations, offered } = inputs;
  const said = (annotation: string): string | undefined =>
    diskAnnotations?.[annotation] ?? classAnnotations?.[annotation];
  const accessMode = ACCESS_ORDER.find((mode) => mode === said(ACCESS_MODE_ANNOTATION));
  const volumeMode = VOLUME_ORDER.find((mode) => mode === said(VOLUME_MODE_ANNOTATION));
  const rank = (modes: VolumeUse): number =>
    ACCESS_ORDER.indexOf(modes.accessMode) * 2 + VOLUME_ORDER.indexOf(modes.volumeMode);
  const [best] = offered
    .filter(
      (modes) =>
        (accessMode ?? modes.accessMode) === modes.accessMode &&
        (volumeMode ?? modes.volumeMode) === modes.volumeMode,
    )
    .toSorted((a, b) => rank(a) - rank(b));
  return {
    accessMode: accessMode ?? best?.accessMode ?? "ReadWriteOnce",
    volumeMode: volumeMode ?? best?.volumeMode ?? "Filesystem",
  };
}

/** When a volume is made: at once, or on the host of the first VM that uses it. */
export type BindingMode = StorageClassInfo["bindingMode"];

/** What annotations of the disk say, else those of the class, else the class itself. */
export function chooseBindingMode(
  inputs: Omit<VolumeModeInputs, "offered"> & { readonly classMode: BindingMode },
): BindingMode {
  const { diskAnnotations, classAnnotations, classMode } = inputs;
  const said =
    diskAnnotations?.[BINDING_MODE_ANNOTATION] ?? classAnnotations?.[BINDING_MODE_ANNOTATION];
  return said === "Immediate" || said === "WaitForFirstConsumer" ? said : classMode;
}
