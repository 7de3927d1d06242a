import type { DiskFormat } from "../disk/disk-format.ts";
import type { ChecksumAlgorithm, Checksums } from "../http/checksum.ts";
import type { ImageLimits } from "../image-limits.ts";
import type { ConversionInput } from "./conversion-input.ts";
import type { ConversionProgress } from "./conversion-progress.ts";

/** What {@link convertImage} is asked for. */
export interface ConvertImageOptions {
  readonly source: ConversionInput;
  /** Which disk of an archive is meant: the name of its member. Default: the only one. */
  readonly member?: string | undefined;
  /** Path of a file, which is replaced at once when all is well, or of a block device. */
  readonly target: string;
  /** Format to write; `vmdk` is streamOptimized. */
  readonly to: "raw" | "qcow2" | "vmdk";
  /** Compression of a qcow2 image. Default: none. */
  readonly compress?: "deflate" | "zstd" | undefined;
  /** Digests to be taken in the same pass. */
  readonly digests?:
    | {
        /** Of the source as it is, with whatever is around the image. */
        readonly source?: readonly ChecksumAlgorithm[] | undefined;
        /** The content of the disk, the same in any format; see {@link ConvertedImage}. */
        readonly content?: boolean | undefined;
      }
    | undefined;
  /** Expected digests of the source as it is; they are verified before anything is published. */
  readonly checksum?: Checksums | undefined;
  /** Refuses a source of any other format. Default: any. */
  readonly expectedFormat?: DiskFormat | undefined;
  /**
   * Keeps what is done of a raw or qcow2 file when the conversion is interrupted, with a journal of verified
   * segments beside the target, and goes on there in a later call for the same source. What cannot
   * be gone on with starts over, with a warning. Default: false.
   */
  readonly resume?: boolean | undefined;
  readonly limits?: ImageLimits | undefined;
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string | undefined;
  /** Threads for decoding and compressing. Default: one for each processor, at most 4. */
  readonly threads?: number | undefined;
  /** Longest time without any progress, in milliseconds. Default: 300 000. */
  readonly maxIdleMs?: number | undefined;
  /** Ends the conversion with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called about five times a second, and at the beginning of each phase. */
  readonly onProgress?: ((progress: ConversionProgress) => void) | undefined;
}

/** What {@link convertImage} has done. */
export interface ConvertedImage {
  readonly source: {
    readonly format: string;
    readonly wrappers: readonly string[];
    /** Present when some were asked for, or verified. */
    readonly digests?: Checksums;
  };
  readonly virtualSizeBytes: number;
  /** Size of the written file, holes included. */
  readonly storedBytes: number;
  /** Bytes of the disk that were written in this call: not zeros, and not there already. */
  readonly dataBytes: number;
  /** How much of the disk was there already, from an earlier call. */
  readonly resumedBytes: number;
  /**
   * Present when it was asked for: `merkle-sha256-64k:` and 64 hexadecimal digits. It is the same
   * for the same disk in any format. See the README for its definition.
   */
  readonly contentDigest?: string;
  /** What is odd and yet harmless, each a sentence. */
  readonly warnings: readonly string[];
}

/**
 * Converts a disk image of any format that can be read, in one pass and checking it completely,
 * with as many threads as are useful. A file is written beside its final place, waited for until it
 * is on stable storage, inspected, and then put into place at once; after a failure nothing is left,
 * but for what `resume` keeps of one that may pass.
 *
 * @throws ImageError as opening and reading the source do; `IMAGE_UNSAFE` when the disk itself
 * begins like an image and would deceive its next reader; `IMAGE_CHECKSUM_MISMATCH`;
 * `IMAGE_NOT_STREAMABLE` for an image that comes as a stream in an order that cannot be followed;
 * `IMAGE_TOO_LARGE` over a limit or when a
 * block device is too small; `IMAGE_SOURCE_STALLED` without progress; `IMAGE_IO`; `IMAGE_INVALID_ARGUMENT`.
 */
export async function convertImage(options: ConvertImageOptions): Promise<ConvertedImage> {
  const { startThreadsEarly } = await import("./start-threads-early.ts");
  await using early = await startThreadsEarly(options);
  const { runConversion } = await import("./run-conversion.ts");
  return await runConversion(options, early);
}
