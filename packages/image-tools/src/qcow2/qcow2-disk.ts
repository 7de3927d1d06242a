import { ByteCache } from "../disk/byte-cache.ts";
import { formatErrors, readStructure } from "../disk/disk-opener.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import { joinSegments } from "../disk/join-segments.ts";
import { segmentedDiskImage, type SegmentedDiskImage } from "../disk/segmented-disk-image.ts";
import { DEFAULT_MAX_VIRTUAL_SIZE_BYTES } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { checkQcow2, type Qcow2CheckReport } from "./qcow2-check.ts";
import { parseQcow2Header, type Qcow2Header } from "./qcow2-header.ts";
import { l2CoverageBytes, readL1Entry, readL2Table } from "./qcow2-l2-table.ts";

// The largest cluster, so that the header and all of its extensions are in it.
const WHOLE_HEAD_BYTES = 2 * 1024 * 1024;
const LAZY_HEAD_BYTES = 64 * 1024;
const TABLE_CACHE_BYTES = 4 * 1024 * 1024;
const L1_PAGE_BYTES = 4 * 1024;
const L1_CACHE_BYTES = 256 * 1024;

const errors = formatErrors("qcow2");

/** Options of {@link openQcow2Disk}. */
export interface OpenQcow2DiskOptions {
  readonly maxVirtualSizeBytes?: number | undefined;
  readonly maxTableBytes?: number | undefined;
  /** Reads only the header now, and tables as they are needed. */
  readonly lazy?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An opened qcow2 image with what only this format has. */
export interface Qcow2Disk {
  readonly image: SegmentedDiskImage;
  readonly header: Qcow2Header;
  /** Checks the whole structure. */
  readonly check: (signal: AbortSignal | undefined) => Promise<Qcow2CheckReport>;
}

/** Opens a qcow2 image; throws as `openQcow2` does, and leaves the reader open then. */
export async function openQcow2Disk(
  reader: RandomAccessReader,
  options: OpenQcow2DiskOptions = {},
): Promise<Qcow2Disk> {
  const { signal, lazy = false } = options;
  const headBytes = lazy ? LAZY_HEAD_BYTES : WHOLE_HEAD_BYTES;
  const head = await reader.read(0, Math.min(reader.sizeBytes, headBytes));
  const header = parseQcow2Header(head, {
    maxVirtualSizeBytes: options.maxVirtualSizeBytes ?? DEFAULT_MAX_VIRTUAL_SIZE_BYTES,
    maxTableBytes: options.maxTableBytes,
  });
  const check = async (checkSignal?: AbortSignal): Promise<Qcow2CheckReport> => {
    const l1 = await reader.read(header.l1Offset, header.l1Entries * 8);
    return checkQcow2({ reader, header, l1, signal: checkSignal });
  };
  const report = lazy ? undefined : await check(signal);
  const image = segmentedDiskImage({
    format: "qcow2",
    virtualSizeBytes: header.virtualSizeBytes,
    allocatedBytes: report?.allocatedBytes,
    reader,
    blockBytes: header.clusterSize,
    warnings: header.warnings,
    segments: qcow2Segments(reader, header),
    check: async (checkSignal) => {
      await check(checkSignal);
    },
  });
  return { image, header, check };
}

export function qcow2Segments(
  reader: RandomAccessReader,
  header: Qcow2Header,
): (
  start: number,
  end: number,
  signal: AbortSignal | undefined,
) => AsyncGenerator<readonly DiskSegment[], void, void> {
  const l1Pages = new ByteCache(L1_CACHE_BYTES);
  const tables = new ByteCache(TABLE_CACHE_BYTES);
  const coverage = l2CoverageBytes(header);
  const l1Bytes = header.l1Entries * 8;

  async function readL1Page(page: number): Promise<Buffer> {
    const start = page * L1_PAGE_BYTES;
    const offset = header.l1Offset + start;
    const length = Math.min(L1_PAGE_BYTES, l1Bytes - start);
    return l1Pages.get(page, () => readStructure(reader, errors, "the L1 table", offset, length));
  }

  return async function* segments(start, end, signal) {
    let holeLength = 0;
    let pageIndex = -1;
    let page: Buffer = Buffer.alloc(0);
    let position = start;
    while (position < end) {
      const index = Math.floor(position / coverage);
      const tableStart = index * coverage;
      const wanted = Math.min(tableStart + coverage, end) - position;
      const neededPage = Math.floor((index * 8) / L1_PAGE_BYTES);
      if (neededPage !== pageIndex) {
        signal?.throwIfAborted();
        page = await readL1Page(neededPage);
        pageIndex = neededPage;
      }
      const offset = readL1Entry(header, page, index - (pageIndex * L1_PAGE_BYTES) / 8);
      if (offset === undefined) {
        holeLength += wanted;
      } else {
        signal?.throwIfAborted();
        if (holeLength > 0) yield [{ type: "hole", length: holeLength }];
        holeLength = 0;
        const table = await tables.get(offset, () =>
          readStructure(reader, errors, "an L2 table", offset, header.clusterSize),
        );
        yield joinSegments(readL2Table(header, table, position - tableStart, wanted));
      }
      position += wanted;
    }
    if (holeLength > 0) yield [{ type: "hole", length: holeLength }];
  };
}
