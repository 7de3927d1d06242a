import type { ConditionInput } from "../api/conditions.ts";
import type { ObjectMeta } from "../api/meta.ts";

/** Marks the class of disks that name none. Source: Kubernetes, "Default StorageClass". */
export const DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class";

/** What the settings say about the classes of disks, or of images on volumes. */
interface StorageClassSettings {
  readonly defaultStorageClassName?: string;
  /** Classes that may be used besides the default one; absent when all may. */
  readonly allowedStorageClassNames?: readonly string[];
}

/** What is known when a class is chosen. */
export interface StorageClassInputs {
  /** `spec.persistentVolumeClaim.storageClassName`. */
  readonly wanted: string | undefined;
  /** `virtualDisks` or `virtualImages`: where the settings are. */
  readonly section: "virtualDisks" | "virtualImages";
  readonly settings: StorageClassSettings;
  readonly classes: Iterable<{
    readonly metadata: Pick<ObjectMeta, "name" | "annotations" | "creationTimestamp">;
    readonly provisioner: string;
  }>;
  /** Names of the provisioners that the platform has a storage of. */
  readonly storages: readonly string[];
}

/** The class, or the condition that says why there is none. */
export type StorageClassChoice =
  | { readonly name: string; readonly condition: ConditionInput }
  | { readonly name: undefined; readonly condition: ConditionInput };

/**
 * Chooses the class: the one that the spec names, else the default of the settings, else the one that is marked as
 * default, of several the newest and then the first by name.
 */
export function chooseStorageClass(inputs: StorageClassInputs): StorageClassChoice {
  const { wanted, section, settings, storages } = inputs;
  const classes = [...inputs.classes];
  const marked = defaultClass(classes)?.metadata.name;
  const name = wanted ?? settings.defaultStorageClassName ?? marked;
  const field = "spec.persistentVolumeClaim.storageClassName";
  const setting = `spec.settings.${section} of ModuleConfig/virtualization`;
  const missing = section === "virtualImages" ? "StorageClassNotFound" : "StorageClassNotReady";
  if (name === undefined) {
    return refuse(
      missing,
      `No StorageClass is marked as default: set ${field}, or defaultStorageClassName in ${setting}.`,
    );
  }
  const found = classes.find(({ metadata }) => metadata.name === name);
  if (found === undefined) {
    const message =
      wanted === undefined
        ? `The default StorageClass "${name}" of ${setting} does not exist: create it or choose another.`
        : `${field}: StorageClass "${name}" does not exist: create it or choose another.`;
    return refuse(missing, message);
  }
  const allowed = settings.allowedStorageClassNames;
  const isDefault = name === (settings.defaultStorageClassName ?? marked);
  if (allowed !== undefined && !allowed.includes(name) && !isDefault) {
    return refuse(
      "StorageClassNotReady",
      `${field}: StorageClass "${name}" is not among those that ${setting} allows: choose one of ${allowed.join(", ") || "none"}.`,
    );
  }
  if (!storages.includes(found.provisioner)) {
    return refuse(
      "StorageClassNotReady",
      `StorageClass "${name}" is of provisioner "${found.provisioner}", and the platform has no storage of that name: add that storage or choose another class.`,
    );
  }
  const condition = { type: TYPE, status: "True", reason: TYPE, message: "" } as const;
  return { name, condition };
}

const TYPE = "StorageClassReady";

function refuse(reason: string, message: string): StorageClassChoice {
  return { name: undefined, condition: { type: TYPE, status: "False", reason, message } };
}

function defaultClass<
  C extends {
    readonly metadata: Pick<ObjectMeta, "name" | "annotations" | "creationTimestamp">;
  },
>(classes: readonly C[]): C | undefined {
  return classes
    .filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS_ANNOTATION] === "true")
    .toSorted((a, b) => {
      const newest =
        Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp);
      return newest || (a.metadata.name < b.metadata.name ? -1 : 1);
    })[0];
}
