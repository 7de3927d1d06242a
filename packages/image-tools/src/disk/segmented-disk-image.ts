import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import { decodeBlock } from "./decode-block.ts";
import { ByteCache } from "./byte-cache.ts";
import type { DiskFormat } from "./disk-format.ts";
import type { DiskImage, DiskImageCallOptions } from "./disk-image.ts";
import type { CompressedSegment, DiskSegment } from "./disk-segment.ts";
import { requireReadRange } from "./read-range.ts";
import { segmentExtents } from "./segment-extents.ts";

// A few of the largest blocks.
const BLOCK_CACHE_BYTES = 8 * 1024 * 1024;

/** A disk whose content lies in pieces in one file. */
export interface SegmentedDisk {
  readonly format: DiskFormat;
  readonly virtualSizeBytes: number;
  readonly allocatedBytes: number | undefined;
  readonly reader: RandomAccessReader;
  /** Segments may be asked for from every multiple of this. */
  readonly blockBytes: number;
  readonly warnings: readonly string[];
  /** Whether the reader gives other bytes than the file has, so that nobody else may read it. */
  readonly isOverlaid?: boolean;
  /** Segments of the disk from byte `start`, a multiple of the block size, to byte `end`. */
  segments(
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): AsyncIterable<readonly DiskSegment[]>;
  /** Checks the whole structure. */
  check(signal: AbortSignal | undefined): Promise<void>;
}

/** A {@link DiskImage} that can also stream the beginning of its disk. */
export interface SegmentedDiskImage extends DiskImage {
  /** Yields the first `length` bytes of the disk. */
  extents(
    length: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<SparseExtent, void, void>;
}

/** Gives access to `disk`. Disposing the image disposes its reader. */
export function segmentedDiskImage(disk: SegmentedDisk): SegmentedDiskImage {
  const { format, reader, virtualSizeBytes } = disk;
  const warnings = [...disk.warnings];
  const blocks = new ByteCache(BLOCK_CACHE_BYTES);

  function decode(compressed: Buffer, segment: CompressedSegment): Buffer {
    const block = Buffer.allocUnsafeSlow(segment.length);
    const { overlong } = decodeBlock(segment, compressed, block);
    if (overlong) warnOnce("a compressed block holds more than fits; the rest was ignored");
    return block;
  }

  function warnOnce(warning: string): void {
    if (!warnings.includes(warning)) warnings.push(warning);
  }

  async function readCompressed(segment: CompressedSegment): Promise<Buffer> {
    const { hostOffset } = segment;
    const length = Math.min(segment.hostLength, reader.sizeBytes - hostOffset);
    return decode(await reader.read(hostOffset, length), segment);
  }

  async function* segments(
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly DiskSegment[], void, void> {
    for await (const list of disk.segments(start, end, signal)) {
      for (const segment of list) requireInside(segment);
      yield list;
    }
  }

  function requireInside(segment: DiskSegment): void {
    if (segment.type === "hole") return;
    const length = segment.type === "data" ? segment.length : 1;
    if (segment.hostOffset + length <= reader.sizeBytes) return;
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `the ${format} image is cut short: data at byte ${segment.hostOffset} lies beyond its end`,
    );
  }

  async function read(
    offset: number,
    length: number,
    { signal }: DiskImageCallOptions = {},
  ): Promise<Buffer> {
    requireReadRange(offset, length, virtualSizeBytes);
    const content = Buffer.alloc(length);
    let end = Math.floor(offset / disk.blockBytes) * disk.blockBytes;
    // Whole blocks, so that a block is kept in the cache as a whole.
    const lastEnd = Math.ceil((offset + length) / disk.blockBytes) * disk.blockBytes;
    for await (const list of segments(end, Math.min(lastEnd, virtualSizeBytes), signal)) {
      for (const segment of list) {
        const start = end;
        end += segment.length;
        const from = Math.max(start, offset);
        const to = Math.min(end, offset + length);
        if (from >= to || segment.type === "hole") continue;
        if (segment.type === "data") {
          const bytes = await reader.read(segment.hostOffset + from - start, to - from);
          bytes.copy(content, from - offset);
        } else {
          const block = await blocks.get(start, () => readCompressed(segment));
          block.copy(content, from - offset, from - start, to - start);
        }
      }
      signal?.throwIfAborted();
    }
    return content;
  }

  const extents: SegmentedDiskImage["extents"] = (length, signal) =>
    segmentExtents({ reader, segments: segments(0, length, signal), decode, signal });

  return {
    format,
    virtualSizeBytes,
    allocatedBytes: disk.allocatedBytes,
    warnings,
    read,
    extents,
    stream: ({ signal } = {}) => ({
      sizeBytes: virtualSizeBytes,
      [Symbol.asyncIterator]: () => extents(virtualSizeBytes, signal),
      [Symbol.asyncDispose]: async () => {},
    }),
    ...(disk.isOverlaid === true
      ? {}
      : {
          segments: ({ signal }: DiskImageCallOptions = {}) =>
            segments(0, virtualSizeBytes, signal),
        }),
    check: ({ signal } = {}) => disk.check(signal),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}
