import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { borrowReader } from "./borrow-reader.ts";
import { rawSparseStream } from "../sparse/raw-sparse-stream.ts";
import type { DiskImage } from "./disk-image.ts";
import type { DiskSegment } from "./disk-segment.ts";
import type { ClaimedSize } from "./raw-claimed-size.ts";
import { requireReadRange } from "./read-range.ts";

/** What {@link rawDiskImage} is told. */
export interface RawDiskImageOptions {
  readonly format: "raw" | "iso";
  readonly warnings: readonly string[];
  /** The size that the content claims, if any. */
  readonly claimedSize: ClaimedSize | undefined;
}

/**
 * A disk whose content is the file itself.
 *
 * @throws ImageError `IMAGE_TRUNCATED` when its content claims to be longer.
 */
export function rawDiskImage(reader: RandomAccessReader, options: RawDiskImageOptions): DiskImage {
  const { sizeBytes } = reader;
  const { format, claimedSize } = options;
  if (claimedSize !== undefined && claimedSize.bytes > sizeBytes) {
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `the ${format} image is cut short: its ${claimedSize.by} reaches to byte ${claimedSize.bytes}, but it ends at ${sizeBytes}`,
    );
  }
  const borrowed = borrowReader(reader);
  return {
    format,
    virtualSizeBytes: sizeBytes,
    allocatedBytes: sizeBytes,
    warnings: options.warnings,
    read: async (offset, length, { signal } = {}) => {
      requireReadRange(offset, length, sizeBytes);
      signal?.throwIfAborted();
      return reader.read(offset, length);
    },
    stream: ({ signal } = {}) => rawSparseStream(borrowed, { signal }),
    segments: () => wholeFile(sizeBytes),
    check: async () => {},
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

async function* wholeFile(sizeBytes: number): AsyncGenerator<readonly DiskSegment[], void, void> {
  if (sizeBytes > 0) yield [{ type: "data", length: sizeBytes, hostOffset: 0 }];
}
