import * as z from "zod";
import { conditionColumn, phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { dataSourceSchema, type DataSource } from "./data-source.ts";
import { nonEmpty, quantity } from "./fields.ts";
import type { KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import { admitDisk } from "./virtual-disk-admission.ts";

/** A writable block device, blank or with the content of an image. */
export interface VirtualDisk extends Resource {
  readonly kind: "VirtualDisk";
  readonly spec: VirtualDiskSpec;
  readonly status?: VirtualDiskStatus;
}

/** What a user wants of a {@link VirtualDisk}. */
export interface VirtualDiskSpec {
  /** Absent for a blank disk. */
  readonly dataSource?: DataSource;
  readonly persistentVolumeClaim?: {
    /** A quantity. Default: the virtual size of the source, aligned up to 1 MiB. */
    readonly size?: string;
    /** Default: the class that is marked as default. */
    readonly storageClassName?: string;
  };
}

/** What a user writes of the spec of a {@link VirtualDisk}. */
export type VirtualDiskSpecInput = Omit<VirtualDiskSpec, "persistentVolumeClaim"> & {
  readonly persistentVolumeClaim?: {
    readonly size?: string | number;
    readonly storageClassName?: string;
  };
};

/** What a user writes of a {@link VirtualDisk}. */
export interface VirtualDiskInput {
  readonly spec?: VirtualDiskSpecInput | undefined;
}

/** How fast content comes in. */
export interface TransferSpeed {
  /** Such as `30.5Mi/s`. */
  readonly avg?: string;
  readonly avgBytes?: string;
  readonly current?: string;
  readonly currentBytes?: string;
}

/** Where a user sends the content of an image or a disk to. */
export interface UploadURLs {
  readonly external?: string;
  readonly inCluster?: string;
}

/** What is known about a {@link VirtualDisk}. */
export interface VirtualDiskStatus {
  readonly phase:
    | "Pending"
    | "Provisioning"
    | "WaitForUserUpload"
    | "WaitForFirstConsumer"
    | "Ready"
    | "Resizing"
    | "Failed"
    | "PVCLost"
    | "Exporting"
    | "Terminating"
    | "Migrating";
  readonly capacity?: string;
  readonly progress?: string;
  readonly downloadSpeed?: TransferSpeed;
  readonly imageUploadURLs?: UploadURLs;
  readonly storageClassName?: string;
  /** The volume behind the disk, by the name that its storage knows. */
  readonly target?: { readonly persistentVolumeClaimName: string };
  readonly attachedToVirtualMachines?: readonly {
    readonly name: string;
    /** True while its guest runs with the disk. */
    readonly mounted: boolean;
  }[];
  /** Images that are being made of the disk, as `Kind/uid`; no VM can take it meanwhile. */
  readonly imageUsers?: readonly string[];
  /** The uid of the resource that the content was taken from. */
  readonly sourceUID?: string;
  /** Durations such as `5s`. */
  readonly stats?: {
    readonly creationDuration?: {
      readonly waitingForDependencies?: string;
      readonly waitingForFirstConsumer?: string;
      readonly dvcrProvisioning?: string;
      readonly totalProvisioning?: string;
    };
  };
  /** The move to another storage class. */
  readonly migrationState?: {
    /** RFC 3339. */
    readonly startTimestamp?: string;
    /** RFC 3339. */
    readonly endTimestamp?: string;
    readonly sourcePVC?: string;
    readonly targetPVC?: string;
    readonly result?: "Succeeded" | "Failed";
    readonly message?: string;
  };
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** The spec of a disk as users write it. */
export const virtualDiskSpecSchema: z.ZodType<VirtualDiskSpec, VirtualDiskSpecInput> =
  z.strictObject({
    dataSource: dataSourceSchema({
      from: ["ClusterVirtualImage", "VirtualImage", "VirtualDiskSnapshot"],
      namespaces: false,
    }).exactOptional(),
    persistentVolumeClaim: z
      .strictObject({
        size: quantity.exactOptional(),
        storageClassName: nonEmpty.exactOptional(),
      })
      .exactOptional(),
  });

/** The kind {@link VirtualDisk}. */
export const VIRTUAL_DISK: KindDefinition<VirtualDisk, VirtualDiskInput> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualDisk",
  plural: "virtualdisks",
  shortNames: ["vd"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({ spec: virtualDiskSpecSchema.default({}) }),
  admit: admitDisk,
  columns: [
    phaseColumn(),
    { name: "Capacity", value: (disk) => disk.status?.capacity },
    conditionColumn("InUse", "InUse", { wide: true }),
    {
      name: "VirtualMachine",
      value: (disk) => disk.status?.attachedToVirtualMachines?.find((vm) => vm.mounted)?.name,
    },
    { name: "Progress", value: (disk) => disk.status?.progress, wide: true },
    { name: "StorageClass", value: (disk) => disk.status?.storageClassName, wide: true },
    {
      name: "TargetPVC",
      value: (disk) => disk.status?.target?.persistentVolumeClaimName,
      wide: true,
    },
  ],
};
