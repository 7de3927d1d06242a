import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { ByteCache } from "./byte-cache.ts";
import type { DiskSegment } from "./disk-segment.ts";
import { joinSegments } from "./join-segments.ts";
import type { SegmentedDisk } from "./segmented-disk-image.ts";

const PAGE_BYTES = 64 * 1024;
const CACHE_BYTES = 4 * 1024 * 1024;

/** One table that says for every block of a disk where it lies in the file. */
export interface BlockMap {
  readonly reader: RandomAccessReader;
  readonly blockBytes: number;
  readonly tableOffset: number;
  /** Divides 64 KiB. */
  readonly entryBytes: number;
  readonly entries: number;
  /** Number of the entry of a block. */
  entryOf(block: number): number;
  /** Where the block of the entry at `table[at]` begins in the file, `undefined` for a hole. */
  locate(table: Buffer, at: number, block: number): number | undefined;
}

/** The segments of a disk of such blocks; reads the table in pages. */
export function blockMapSegments(map: BlockMap): SegmentedDisk["segments"] {
  const cache = new ByteCache(CACHE_BYTES);

  async function readPage(page: number): Promise<Buffer> {
    const start = page * PAGE_BYTES;
    const length = Math.min(PAGE_BYTES, map.entries * map.entryBytes - start);
    return cache.get(page, () => map.reader.read(map.tableOffset + start, length));
  }

  return async function* segments(start, end, signal) {
    let position = start;
    while (position < end) {
      signal?.throwIfAborted();
      const page = Math.floor(
        (map.entryOf(position / map.blockBytes) * map.entryBytes) / PAGE_BYTES,
      );
      const table = await readPage(page);
      const found: DiskSegment[] = [];
      while (position < end) {
        const block = position / map.blockBytes;
        const at = map.entryOf(block) * map.entryBytes - page * PAGE_BYTES;
        if (at >= PAGE_BYTES) break;
        const length = Math.min(map.blockBytes, end - position);
        const hostOffset = map.locate(table, at, block);
        found.push(
          hostOffset === undefined
            ? { type: "hole", length }
            : { type: "data", length, hostOffset },
        );
        position += length;
      }
      yield joinSegments(found);
    }
  };
}

/** Calls `visit` with the host offset of every block that has one. */
export async function visitBlocks(
  map: BlockMap,
  blocks: number,
  signal: AbortSignal | undefined,
  visit: (hostOffset: number, block: number) => void,
): Promise<void> {
  let block = 0;
  while (block < blocks) {
    signal?.throwIfAborted();
    const page = Math.floor((map.entryOf(block) * map.entryBytes) / PAGE_BYTES);
    const start = page * PAGE_BYTES;
    const length = Math.min(PAGE_BYTES, map.entries * map.entryBytes - start);
    const table = await map.reader.read(map.tableOffset + start, length);
    for (; block < blocks; block += 1) {
      const at = map.entryOf(block) * map.entryBytes - start;
      if (at >= PAGE_BYTES) break;
      const hostOffset = map.locate(table, at, block);
      if (hostOffset !== undefined) visit(hostOffset, block);
    }
  }
}
