import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { SparseStream } from "../sparse/sparse-stream.ts";
import type { Qcow2CheckReport } from "./qcow2-check.ts";

/** Options of {@link openQcow2}. */
export interface OpenQcow2Options {
  /** Refuses disks larger than this. Default: 16 TiB. */
  readonly maxVirtualSizeBytes?: number | undefined;
  /** Ends the check and all streams of the image with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A qcow2 image whose structure has been checked completely. */
export interface Qcow2Image extends AsyncDisposable {
  /** Size of the disk as its machine sees it. */
  readonly virtualSizeBytes: number;
  /** Bytes of the disk that are backed by data in the file. */
  readonly allocatedBytes: number;
  readonly clusterSizeBytes: number;
  /** Checks the structure once more, as opening did; see {@link openQcow2} for what it throws. */
  check(signal?: AbortSignal): Promise<Qcow2CheckReport>;
  /**
   * The content of the disk, or of its first `lengthBytes`. Iterating throws ImageError
   * `IMAGE_CORRUPT` at a compressed cluster that cannot be decoded. Disposing the stream leaves
   * the image open.
   */
  stream(lengthBytes?: number): SparseStream;
}

/**
 * Opens a qcow2 image, version 2 or 3, with deflate or zstd compression and standard or extended
 * L2 entries, and checks its whole structure before it gives out anything: every table and
 * cluster of the active disk lies inside the file and is used once. Internal snapshots are
 * ignored. Disposing the image disposes the reader.
 *
 * @throws ImageError `IMAGE_TRUNCATED`, `IMAGE_CORRUPT`, `IMAGE_UNSAFE` (backing file, data file,
 * encryption, fan-out), `IMAGE_UNSUPPORTED` (unknown features), `IMAGE_TOO_LARGE`, `IMAGE_IO`. The
 * reader is left open then.
 * @see QEMU docs/interop/qcow2
 */
export async function openQcow2(
  reader: RandomAccessReader,
  options: OpenQcow2Options = {},
): Promise<Qcow2Image> {
  const { signal, maxVirtualSizeBytes } = options;
  const { openQcow2Disk } = await import("./qcow2-disk.ts");
  const { image, header, check } = await openQcow2Disk(reader, { signal, maxVirtualSizeBytes });
  return {
    virtualSizeBytes: header.virtualSizeBytes,
    allocatedBytes: image.allocatedBytes ?? 0,
    clusterSizeBytes: header.clusterSize,
    check: (checkSignal) => check(checkSignal),
    stream: (lengthBytes = header.virtualSizeBytes) => {
      if (!(lengthBytes >= 0 && lengthBytes <= header.virtualSizeBytes)) {
        throw new ImageError("IMAGE_INVALID_ARGUMENT", "lengthBytes lies outside the disk");
      }
      return {
        sizeBytes: lengthBytes,
        [Symbol.asyncIterator]: () => image.extents(lengthBytes, signal),
        [Symbol.asyncDispose]: async () => {},
      };
    },
    [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
  };
}
