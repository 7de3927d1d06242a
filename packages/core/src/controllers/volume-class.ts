import type { ConditionInput } from "../api/conditions.ts";
import type { Storage, StorageClassInfo, VolumeUse } from "../backend/storage.ts";
import { condition } from "../machine/machine-conditions.ts";
import { chooseStorageClass } from "../storage/storage-class-choice.ts";
import { type BindingMode, chooseBindingMode, chooseVolumeModes } from "../storage/volume-modes.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentSettings } from "./current-settings.ts";

/** The class of a volume that is to be made, and how it is made. */
export interface VolumeClass {
  readonly storageClassName: string;
  readonly storage: Storage;
  readonly use: VolumeUse;
  readonly bindingMode: BindingMode;
  /** True when volumes of the class may grow and the storage can do it. */
  readonly expandable: boolean;
  readonly info: StorageClassInfo;
}

/** Finds the class of a volume, or the condition that says why there is none. */
export async function findVolumeClass(
  wish: {
    /** `spec.persistentVolumeClaim.storageClassName`. */
    readonly wanted: string | undefined;
    readonly section: "virtualDisks" | "virtualImages";
    readonly annotations: Readonly<Record<string, string>> | undefined;
  },
  context: ControllerContext,
  signal: AbortSignal,
): Promise<{ readonly condition: ConditionInput; readonly found?: VolumeClass }> {
  const { caches, storages } = context;
  const classes = caches.of("StorageClass");
  const choice = chooseStorageClass({
    wanted: wish.wanted,
    section: wish.section,
    settings: storageClassSettings(context, wish.section),
    classes: classes.values(),
    storages: storages.all().map(({ name }) => name),
  });
  const storageClass = choice.name === undefined ? undefined : classes.get(choice.name);
  const storage = storageClass && storages.of(storageClass);
  if (storageClass === undefined || storage === undefined) return { condition: choice.condition };
  const { name, annotations } = storageClass.metadata;
  const info = await storages.describe(storageClass, signal);
  if (info === undefined) {
    const message = `StorageClass "${name}" is not known to its provisioner "${storage.name}": delete it, or make it known there.`;
    return { condition: condition("StorageClassReady", "False", "StorageClassNotReady", message) };
  }
  const said = { diskAnnotations: wish.annotations, classAnnotations: annotations };
  return {
    condition: choice.condition,
    found: {
      storageClassName: name,
      storage,
      info,
      use: chooseVolumeModes({ ...said, offered: info.uses }),
      bindingMode: chooseBindingMode({ ...said, classMode: storageClass.volumeBindingMode }),
      expandable:
        storageClass.allowVolumeExpansion === true &&
        info.expandable &&
        storage.expansion !== undefined,
    },
  };
}

function storageClassSettings(
  { caches }: ControllerContext,
  section: "virtualDisks" | "virtualImages",
): {
  readonly defaultStorageClassName?: string;
  readonly allowedStorageClassNames?: readonly string[];
} {
  const { defaultStorageClassName, allowedStorageClassSelector } =
    currentSettings(caches)[section] ?? {};
  const allowed = allowedStorageClassSelector?.matchNames;
  return {
    ...(defaultStorageClassName !== undefined && { defaultStorageClassName }),
    ...(allowed !== undefined && { allowedStorageClassNames: allowed }),
  };
}
