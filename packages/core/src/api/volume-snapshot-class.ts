import * as z from "zod";
import { nonEmpty, textByKey } from "./fields.ts";
import type { KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** A sort of snapshots of volumes. Source: Kubernetes `snapshot.storage.k8s.io/v1` `VolumeSnapshotClass`. */
export interface VolumeSnapshotClass extends Resource {
  readonly kind: "VolumeSnapshotClass";
  /** The name of the storage backend. */
  readonly driver: string;
  readonly deletionPolicy: "Delete" | "Retain";
  /** For the storage; core does not look at them. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** What an administrator writes of a {@link VolumeSnapshotClass}. */
export type VolumeSnapshotClassInput = Pick<
  VolumeSnapshotClass,
  "driver" | "deletionPolicy" | "parameters"
>;

/** The kind {@link VolumeSnapshotClass}. */
export const VOLUME_SNAPSHOT_CLASS: KindDefinition<VolumeSnapshotClass, VolumeSnapshotClassInput> =
  {
    apiVersion: "snapshot.storage.k8s.io/v1",
    kind: "VolumeSnapshotClass",
    plural: "volumesnapshotclasses",
    shortNames: ["vsclass", "vsclasses"],
    namespaced: false,
    schema: z.strictObject({
      driver: nonEmpty,
      deletionPolicy: z.enum(["Delete", "Retain"]),
      parameters: textByKey.exactOptional(),
    }),
    columns: [
      { name: "Driver", value: ({ driver }) => driver },
      { name: "DeletionPolicy", value: ({ deletionPolicy }) => deletionPolicy },
    ],
  };
