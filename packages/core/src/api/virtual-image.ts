import * as z from "zod";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { dataSourceSchema, type DataSource } from "./data-source.ts";
import { nonEmpty } from "./fields.ts";
import type { Defaulted, KindDefinition, PrinterColumn } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import { admitClusterVirtualImage, admitVirtualImage } from "./virtual-image-admission.ts";
import type { TransferSpeed, UploadURLs } from "./virtual-disk.ts";

/** What {@link VirtualImage} and {@link ClusterVirtualImage} report. */
export interface ImageStatus {
  readonly phase:
    | "Pending"
    | "Provisioning"
    | "WaitForUserUpload"
    | "Ready"
    | "Failed"
    | "Terminating"
    | "ImageLost"
    | "PVCLost";
  /** `28.2%`; `100%` when ready. */
  readonly progress?: string;
  /** True for an ISO image, which a guest sees as a CD-ROM. */
  readonly cdrom?: boolean;
  /** `qcow2`, `raw` or `iso`. */
  readonly format?: string;
  readonly size?: {
    readonly stored: string;
    readonly storedBytes: string;
    readonly unpacked: string;
    readonly unpackedBytes: string;
  };
  readonly downloadSpeed?: TransferSpeed;
  readonly imageUploadURLs?: UploadURLs;
  /** The uid of the resource that the content was taken from. */
  readonly sourceUID?: string;
  readonly storageClassName?: string;
  /** The name under which the image store keeps the content, or the volume that has it. */
  readonly target?: {
    readonly registryURL?: string;
    readonly persistentVolumeClaimName?: string;
  };
  /** The volume with the content, for the VMs that have the image as a block device. */
  readonly volume?: { readonly storage: string; readonly name: string };
  /** ClusterVirtualImage: namespaces of the VMs that use the image. */
  readonly usedInNamespaces?: readonly string[];
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** A read-only image for the disks of one namespace. */
export interface VirtualImage extends Resource {
  readonly kind: "VirtualImage";
  readonly spec: VirtualImageSpec;
  readonly status?: ImageStatus;
}

/** What a user wants of a {@link VirtualImage}. */
export interface VirtualImageSpec {
  /** Where the content is kept: in the platform's image store or on a volume. Default `ContainerRegistry`. */
  readonly storage: "ContainerRegistry" | "PersistentVolumeClaim";
  /** For images on a volume. */
  readonly persistentVolumeClaim?: {
    /** Default: the class that is marked as default. */
    readonly storageClassName?: string;
  };
  readonly dataSource: DataSource;
}

/** What a user writes of a {@link VirtualImage}. */
export interface VirtualImageInput {
  readonly spec: Defaulted<VirtualImageSpec, "storage">;
}

/** A read-only image for the disks of every namespace. */
export interface ClusterVirtualImage extends Resource {
  readonly kind: "ClusterVirtualImage";
  readonly spec: ClusterVirtualImageSpec;
  readonly status?: ImageStatus;
}

/** What a user wants of a {@link ClusterVirtualImage}. */
export interface ClusterVirtualImageSpec {
  readonly dataSource: DataSource;
}

/** What a user writes of a {@link ClusterVirtualImage}. */
export interface ClusterVirtualImageInput {
  readonly spec: ClusterVirtualImageSpec;
}

/** Either kind of image. */
export type AnyVirtualImage = VirtualImage | ClusterVirtualImage;

const columns: readonly PrinterColumn<AnyVirtualImage>[] = [
  phaseColumn(),
  { name: "CDROM", value: (image) => image.status?.cdrom?.toString() },
  { name: "Progress", value: (image) => image.status?.progress },
  { name: "StoredSize", value: (image) => image.status?.size?.stored, wide: true },
  { name: "UnpackedSize", value: (image) => image.status?.size?.unpacked, wide: true },
  { name: "Registry URL", value: (image) => image.status?.target?.registryURL, wide: true },
];

const SOURCES = [
  "ClusterVirtualImage",
  "VirtualImage",
  "VirtualDisk",
  "VirtualDiskSnapshot",
] as const;

/** The kind {@link VirtualImage}. */
export const VIRTUAL_IMAGE: KindDefinition<VirtualImage, VirtualImageInput> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualImage",
  plural: "virtualimages",
  shortNames: ["vi"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      storage: z.enum(["ContainerRegistry", "PersistentVolumeClaim"]).default("ContainerRegistry"),
      persistentVolumeClaim: z
        .strictObject({ storageClassName: nonEmpty.exactOptional() })
        .exactOptional(),
      dataSource: dataSourceSchema({ from: SOURCES, namespaces: false }),
    }),
  }),
  admit: admitVirtualImage,
  columns: [
    ...columns,
    {
      name: "TargetPVC",
      value: (image) => image.status?.target?.persistentVolumeClaimName,
      wide: true,
    },
  ],
};

/** The kind {@link ClusterVirtualImage}. */
export const CLUSTER_VIRTUAL_IMAGE: KindDefinition<ClusterVirtualImage, ClusterVirtualImageInput> =
  {
    apiVersion: V1ALPHA2,
    kind: "ClusterVirtualImage",
    plural: "clustervirtualimages",
    shortNames: ["cvi"],
    categories: ["virtualization-cluster"],
    namespaced: false,
    schema: z.strictObject({
      spec: z.strictObject({ dataSource: dataSourceSchema({ from: SOURCES, namespaces: true }) }),
    }),
    admit: admitClusterVirtualImage,
    columns,
  };
