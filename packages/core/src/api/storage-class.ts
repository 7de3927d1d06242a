import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import { textByKey } from "./fields.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** A sort of storage that volumes can be made of. Source: Kubernetes `storage.k8s.io/v1` `StorageClass`. */
export interface StorageClass extends Resource {
  readonly kind: "StorageClass";
  /** The name of the storage backend. */
  readonly provisioner: string;
  /** When a volume is made: with its disk, or with the first VM that uses the disk. */
  readonly volumeBindingMode: "Immediate" | "WaitForFirstConsumer";
  readonly reclaimPolicy: "Delete" | "Retain";
  /** Whether disks may grow. Default false. */
  readonly allowVolumeExpansion?: boolean;
  /** For the storage; core does not look at them. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** What an administrator writes of a {@link StorageClass}. */
export type StorageClassInput = Defaulted<
  Pick<
    StorageClass,
    "provisioner" | "volumeBindingMode" | "reclaimPolicy" | "allowVolumeExpansion" | "parameters"
  >,
  "volumeBindingMode" | "reclaimPolicy"
>;

/** Marks, with the value `true`, the storage class of disks that name none. */
export const DEFAULT_STORAGE_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class";

/** Source: Kubernetes, validation of `storage.k8s.io/v1` StorageClass. */
const IMMUTABLE = ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] as const;

/** The kind {@link StorageClass}. */
export const STORAGE_CLASS: KindDefinition<StorageClass, StorageClassInput> = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  plural: "storageclasses",
  shortNames: ["sc"],
  namespaced: false,
  schema: z.strictObject({
    provisioner: z.string().min(1),
    volumeBindingMode: z.enum(["Immediate", "WaitForFirstConsumer"]).default("Immediate"),
    reclaimPolicy: z.enum(["Delete", "Retain"]).default("Delete"),
    allowVolumeExpansion: z.boolean().exactOptional(),
    parameters: textByKey.exactOptional(),
  }),
  admit: (next, { previous }) =>
    previous === undefined
      ? []
      : IMMUTABLE.filter((field) => !jsonEquals(previous[field], next[field])).map((field) => ({
          field,
          message: `updates to ${field} are forbidden: create another StorageClass`,
        })),
  nameCell: ({ metadata }) =>
    metadata.annotations?.[DEFAULT_STORAGE_CLASS_ANNOTATION] === "true"
      ? `${metadata.name} (default)`
      : metadata.name,
  columns: [
    { name: "Provisioner", value: (storageClass) => storageClass.provisioner },
    { name: "ReclaimPolicy", value: (storageClass) => storageClass.reclaimPolicy },
    { name: "VolumeBindingMode", value: (storageClass) => storageClass.volumeBindingMode },
    {
      name: "AllowVolumeExpansion",
      value: ({ allowVolumeExpansion = false }) => String(allowVolumeExpansion),
    },
  ],
};
