import type { SparseStream } from "../sparse/sparse-stream.ts";
import type { DiskFormat } from "./disk-format.ts";
import type { DiskSegment } from "./disk-segment.ts";

/** Options of every call on a {@link DiskImage}. */
export interface DiskImageCallOptions {
  /** Ends the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An opened disk image of any format: what its machine sees, as random access and as a sparse
 * stream. Calls may run at the same time.
 */
export interface DiskImage extends AsyncDisposable {
  readonly format: DiskFormat;
  /** Size of the disk as its machine sees it. */
  readonly virtualSizeBytes: number;
  /**
   * Bytes of the disk that are backed by data in the file; `undefined` where only the headers
   * have been read.
   */
  readonly allocatedBytes: number | undefined;
  /** What is odd and yet harmless, each a sentence. Reading may add to it. */
  readonly warnings: readonly string[];
  /**
   * Exactly `length` bytes of the disk from byte `offset`.
   *
   * @throws ImageError `IMAGE_INVALID_ARGUMENT` when the range does not lie inside the disk, and
   * as reading the source and decoding do.
   */
  read(offset: number, length: number, options?: DiskImageCallOptions): Promise<Buffer>;
  /** The whole content. Disposing the stream leaves the image open. */
  stream(options?: DiskImageCallOptions): SparseStream;
  /** Checks the whole structure once more, as opening did. */
  check(options?: DiskImageCallOptions): Promise<void>;
  /**
   * Where the content lies in the file that was given, in the order of the disk and without gaps.
   * Only where one file holds it all.
   */
  segments?(options?: DiskImageCallOptions): AsyncIterable<readonly DiskSegment[]>;
}
