import type { BlockSource, BlockSourceType } from "./block-source.ts";
import type { SparseStream } from "./sparse-stream.ts";

/** What a storage can do, as plain JSON that a portal can show. */
export interface StorageCapabilities {
  /** Sources that {@link Storage.attach} gives. */
  readonly blockSources: readonly BlockSourceType[];
}

/** A sort of volumes that a storage offers. */
export interface StorageClassInfo {
  readonly name: string;
  /** True for the class that volumes get when none is named; at most one in a storage. */
  readonly isDefault: boolean;
}

/** A volume that is wanted. */
export interface VolumeSpec {
  /** Unique within the storage; lower-case letters, digits and `-`. */
  readonly name: string;
  readonly storageClass: string;
  /** A multiple of 512. */
  readonly sizeBytes: number;
}

/** A volume that exists. */
export interface VolumeState {
  readonly name: string;
  readonly storageClass: string;
  readonly sizeBytes: number;
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
}

/**
 * Keeps volumes. The port that a maker of storage implements.
 *
 * Every verb can be repeated: it is idempotent under the volume's name. Errors as for `Hypervisor`.
 */
export interface Storage extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: StorageCapabilities;

  /** Makes ready for use. */
  open(signal: AbortSignal): Promise<void>;

  classes(signal: AbortSignal): Promise<readonly StorageClassInfo[]>;

  /**
   * Makes a blank volume. Gives back the one that is there when it has that size and class.
   *
   * @throws `POLYVISOR_ALREADY_EXISTS` when it has others, `POLYVISOR_NOT_FOUND` when the class does not exist.
   */
  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<VolumeState>;

  /** The volume, or `undefined` when every place where it could be has answered and does not have it. */
  getVolume(name: string, signal: AbortSignal): Promise<VolumeState | undefined>;

  /** Deletes a volume; does nothing when it does not exist. */
  deleteVolume(name: string, signal: AbortSignal): Promise<void>;

  /** Makes a volume usable on a host and says where it is there. */
  attach(name: string, host: string, signal: AbortSignal): Promise<BlockSource>;

  /** Undoes {@link attach}; does nothing when the volume is not attached there. */
  detach(name: string, host: string, signal: AbortSignal): Promise<void>;

  readonly content: VolumeContent;
}
