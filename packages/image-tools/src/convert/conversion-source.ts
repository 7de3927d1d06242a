import type { Checksums } from "../http/checksum.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { CopyStep, PlanCopyOptions } from "./plan-copy.ts";

/** An opened source of a conversion. */
export interface ConversionSource extends AsyncDisposable {
  /** Format of the image, such as `qcow2`; that of a stream is known for sure only after all steps. */
  readonly format: string;
  /** What was around the image, from the outside: `ova`, `oci`, `tar`, `gz`, `xz`, `zst`, `bz2`. */
  readonly wrappers: readonly string[];
  /** Names this version of the source, where versions can be told apart. */
  readonly identity: string | undefined;
  /** Size of the disk; unknown while a raw disk comes out of a stream. */
  readonly virtualSizeBytes: number | undefined;
  /** Bytes of the disk that are backed by data, where that is known. */
  readonly allocatedBytes: number | undefined;
  /** The image's file, where it can be read at random. */
  readonly reader: RandomAccessReader | undefined;
  /** What is odd; complete only after all steps. */
  readonly warnings: () => readonly string[];
  /** What part of a stream has been read, where its length is known. */
  readonly streamFraction: () => number | undefined;
  /** Bytes read of a stream; steps that are read at random count their own. */
  readonly streamBytes: () => number;
  /**
   * The digests of the source as it is that were asked for; complete after all steps.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`.
   */
  readonly digests: () => Promise<Checksums | undefined>;
  /** Verifies what reading the disk does not, such as the manifest of an OVA. */
  readonly verify: () => Promise<void>;
  /** The disk. Can be called once. */
  steps(options: PlanCopyOptions): AsyncIterable<CopyStep>;
}
