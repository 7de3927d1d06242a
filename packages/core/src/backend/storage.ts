import type { BlockSource, BlockSourceType } from "./block-source.ts";
import type { GuestRef } from "./guest-spec.ts";
import type { SparseStream } from "./sparse-stream.ts";

/** What a storage can do, as plain JSON that a portal can show. */
export interface StorageCapabilities {
  /** Sources that {@link Storage.attach} gives. */
  readonly blockSources: readonly BlockSourceType[];
  /** True exactly when the facet `expansion` is present. */
  readonly expansion: boolean;
  /** True exactly when the facet `snapshots` is present; volumes can then be made from snapshots. */
  readonly snapshots: boolean;
  /** True when volumes can be made from volumes. */
  readonly cloning: boolean;
}

/** By how many hosts a volume can be used at once. Source: Kubernetes `v1.PersistentVolumeAccessMode`. */
export type AccessMode = "ReadWriteOnce" | "ReadWriteMany";

/** How a volume keeps a disk: as it is, or as a file. Source: Kubernetes `v1.PersistentVolumeMode`. */
export type VolumeMode = "Block" | "Filesystem";

/** How volumes of a class can be used. */
export interface VolumeUse {
  readonly accessMode: AccessMode;
  readonly volumeMode: VolumeMode;
}

/** A sort of volumes that a storage offers. */
export interface StorageClassInfo {
  readonly name: string;
  /** True for the class that volumes get when none is named; at most one in a storage. */
  readonly isDefault: boolean;
  /** Every way in which volumes of the class can be used; at least one. */
  readonly uses: readonly VolumeUse[];
  /** `WaitForFirstConsumer`: a volume is made where its first VM will run. */
  readonly bindingMode: "Immediate" | "WaitForFirstConsumer";
  /** True when volumes of the class can grow; needs the facet `expansion`. */
  readonly expandable: boolean;
  /** The class of snapshots of its volumes; absent when there are none. */
  readonly snapshotClass?: string;
}

/** A volume that is wanted. */
export interface VolumeSpec {
  /** Unique within the storage; lower-case letters, digits and `-`. */
  readonly name: string;
  readonly storageClass: string;
  /** A multiple of 512. */
  readonly sizeBytes: number;
  /** One of the class. */
  readonly use: VolumeUse;
  /** With `WaitForFirstConsumer`: the host that must reach it. */
  readonly host?: string;
  /** What the volume is made from; absent: blank. */
  readonly source?: VolumeSource;
}

/** A snapshot or another volume of the same storage, not larger than what is made from it. */
export type VolumeSource =
  | { readonly type: "snapshot"; readonly name: string }
  | { readonly type: "volume"; readonly name: string };

/** A volume that exists. */
export interface VolumeState {
  readonly name: string;
  readonly storageClass: string;
  readonly sizeBytes: number;
  readonly use: VolumeUse;
  /** Hosts that it can be attached to; absent when it can be attached to every one. */
  readonly hosts?: readonly string[];
}

/** Moves whole contents in and out of volumes. */
export interface VolumeContent {
  /**
   * Writes a stream from the start of a volume. The volume must be freshly made: holes are skipped, not written. After a
   * failure the content is undefined: delete the volume and start over.
   *
   * @param options.onProgress Called with the bytes of the stream that are done, holes included.
   * @throws `POLYVISOR_INVALID` when the stream is larger than the volume.
   */
  fill(
    name: string,
    stream: SparseStream,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress?: (bytes: number) => void;
    },
  ): Promise<void>;

  /** The content of a volume or a snapshot. A volume must not be written meanwhile. */
  read(source: VolumeSource, options: { readonly signal: AbortSignal }): Promise<SparseStream>;
}

/** Makes volumes larger, in use or not. */
export interface VolumeExpansion {
  /** Does nothing when the volume has that size or more. */
  expand(name: string, sizeBytes: number, signal: AbortSignal): Promise<VolumeState>;
}

/** A snapshot that is wanted. */
export interface VolumeSnapshotSpec {
  /** Unique within the storage; lower-case letters, digits and `-`. */
  readonly name: string;
  readonly volume: string;
  /** The running guest that has the volume, for storages whose snapshots are made by the hypervisor. */
  readonly attachedTo?: {
    readonly guest: GuestRef;
    readonly host: string;
    /** Name of the guest's disk. */
    readonly disk: string;
  };
}

/** A snapshot that exists. */
export interface VolumeSnapshotState {
  readonly name: string;
  readonly volume: string;
  readonly storageClass: string;
  /** The least size of a volume that is made from it. */
  readonly sizeBytes: number;
}

/** Keeps the content of volumes as it is at a moment. A snapshot outlives its volume. */
export interface VolumeSnapshots {
  /**
   * Makes a snapshot and returns when it can be used. Gives back the one that is there when it is of that volume.
   *
   * @throws `POLYVISOR_ALREADY_EXISTS` when it is of another volume, `POLYVISOR_NOT_FOUND` without the volume.
   */
  create(spec: VolumeSnapshotSpec, signal: AbortSignal): Promise<VolumeSnapshotState>;

  /** The snapshot, or `undefined` when the storage has answered and does not have it. */
  get(name: string, signal: AbortSignal): Promise<VolumeSnapshotState | undefined>;

  /** Deletes a snapshot; does nothing when it does not exist. Volumes made from it stay. */
  delete(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * Keeps volumes. The port that a maker of storage implements.
 *
 * Every verb can be repeated: it is idempotent under the volume's name. Errors as for `Hypervisor`.
 */
export interface Storage extends AsyncDisposable {
  /** Shown to users as the provisioner of its classes. */
  readonly name: string;
  readonly capabilities: StorageCapabilities;

  /** Makes ready for use. */
  open(signal: AbortSignal): Promise<void>;

  classes(signal: AbortSignal): Promise<readonly StorageClassInfo[]>;

  /**
   * Makes a volume. Gives back the one that is there when it has that size and class.
   *
   * @throws `POLYVISOR_ALREADY_EXISTS` when it has others, `POLYVISOR_NOT_FOUND` when the class or the source does not
   *   exist, `POLYVISOR_INVALID` when the source is larger.
   */
  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<VolumeState>;

  /** The volume, or `undefined` when every place where it could be has answered and does not have it. */
  getVolume(name: string, signal: AbortSignal): Promise<VolumeState | undefined>;

  /** Deletes a volume; does nothing when it does not exist. */
  deleteVolume(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Makes a volume usable on a host and says where it is there. A `ReadWriteMany` volume can be attached to several hosts
   * at once. `host` is absent exactly for sources of type `claim`, which a cluster brings to its hosts by itself.
   */
  attach(name: string, host: string | undefined, signal: AbortSignal): Promise<BlockSource>;

  /** Undoes {@link attach}; does nothing when the volume is not attached there. */
  detach(name: string, host: string | undefined, signal: AbortSignal): Promise<void>;

  readonly content: VolumeContent;
  readonly expansion?: VolumeExpansion;
  readonly snapshots?: VolumeSnapshots;
}
