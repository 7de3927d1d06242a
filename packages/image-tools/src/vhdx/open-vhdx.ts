import { blockMapSegments, visitBlocks, type BlockMap } from "../disk/block-map.ts";
import { requireWithin, type DiskOpener } from "../disk/disk-opener.ts";
import { ExtentClaims } from "../disk/extent-claims.ts";
import { segmentedDiskImage } from "../disk/segmented-disk-image.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { parseVhdxMetadata, type VhdxMetadata } from "./vhdx-metadata.ts";
import { overlayReader } from "./overlay-reader.ts";
import { readVhdxLog } from "./vhdx-log.ts";
import {
  readVhdxLogHeader,
  readVhdxRegions,
  VHDX_ALIGNMENT,
  vhdxErrors,
  type VhdxRegion,
} from "./vhdx-regions.ts";

const ENTRY_BYTES = 8;
const MAX_METADATA_BYTES = 1024 * 1024;
const FIRST_METADATA_BYTES = 80 * 1024;
const RESERVED_LOW = 0x000ffff8;
const STATE_PRESENT = 6;
const STATES_WITHOUT_DATA = new Set([0, 1, 2, 3, 5]);

/**
 * Opens a VHDX, fixed or dynamic. Every block lies whole in the file and is used once. The log of a
 * disk that was not closed is replayed in memory.
 *
 * @see [MS-VHDX]
 */
export const openVhdx: DiskOpener = async (file, options) => {
  const log = await readVhdxLogHeader(file);
  const reader = log.guid === undefined ? file : await replayLog(file, log.region, log.guid);
  const isReplayed = reader !== file;
  const regions = await readVhdxRegions(reader, log.region);
  const metadata = await readMetadata(reader, regions.metadata, options.lazy);
  const { virtualSizeBytes, blockBytes } = metadata;
  requireWithin(vhdxErrors, "the disk", virtualSizeBytes, options.maxVirtualSizeBytes);
  const blocks = Math.ceil(virtualSizeBytes / blockBytes);
  const map = createMap(reader, regions.blockTable, metadata, blocks);
  requireWithin(vhdxErrors, "the block table", map.entries * ENTRY_BYTES, options.maxTableBytes);

  const check = async (signal: AbortSignal | undefined): Promise<number> => {
    const claims = new ExtentClaims(vhdxErrors, 1, blockBytes / VHDX_ALIGNMENT);
    claimRegions(claims, [log.region, regions.metadata, regions.blockTable]);
    let allocated = 0;
    await visitBlocks(map, blocks, signal, (offset) => {
      claims.claimBlock(offset / VHDX_ALIGNMENT);
      allocated += 1;
    });
    claims.refuseOverlaps();
    return allocated;
  };
  const allocated = options.lazy ? undefined : await check(options.signal);
  return segmentedDiskImage({
    format: "vhdx",
    virtualSizeBytes,
    allocatedBytes:
      allocated === undefined ? undefined : Math.min(allocated * blockBytes, virtualSizeBytes),
    reader,
    blockBytes,
    warnings: isReplayed ? ["the image was not closed properly; its log was replayed"] : [],
    isOverlaid: isReplayed,
    segments: blockMapSegments(map),
    check: async (signal) => {
      await check(signal);
    },
  });
};

async function readMetadata(
  reader: RandomAccessReader,
  { offset, length }: VhdxRegion,
  lazy: boolean,
): Promise<VhdxMetadata> {
  const all = Math.min(length, MAX_METADATA_BYTES);
  const first = await reader.read(offset, lazy ? Math.min(all, FIRST_METADATA_BYTES) : all);
  try {
    return parseVhdxMetadata(first);
  } catch (error) {
    // The items may lie further behind than any writer puts them.
    if (first.length === all) throw error;
    return parseVhdxMetadata(await reader.read(offset, all));
  }
}

async function replayLog(
  file: RandomAccessReader,
  region: VhdxRegion,
  guid: Buffer,
): Promise<RandomAccessReader> {
  const { changes, fileBytes } = await readVhdxLog(file, region, guid);
  return overlayReader(file, changes, fileBytes);
}

function claimRegions(claims: ExtentClaims, regions: readonly VhdxRegion[]): void {
  claims.claimFixed(0, 1);
  for (const { offset, length } of regions) {
    claims.claimFixed(offset / VHDX_ALIGNMENT, Math.ceil(length / VHDX_ALIGNMENT));
  }
}

function createMap(
  reader: RandomAccessReader,
  region: VhdxRegion,
  { blockBytes, logicalSectorBytes }: VhdxMetadata,
  blocks: number,
): BlockMap {
  // After so many blocks there is one entry for the bitmaps of their sectors.
  const chunkBlocks = (2 ** 23 * logicalSectorBytes) / blockBytes;
  const entries = blocks === 0 ? 0 : blocks + Math.floor((blocks - 1) / chunkBlocks);
  if (entries * ENTRY_BYTES > region.length) {
    throw vhdxErrors.corrupt("the block table is too short for the size of the disk");
  }
  return {
    reader,
    blockBytes,
    tableOffset: region.offset,
    entryBytes: ENTRY_BYTES,
    entries,
    entryOf: (block) => block + Math.floor(block / chunkBlocks),
    locate: (table, at, block) => {
      const low = table.readUInt32LE(at);
      const high = table.readUInt32LE(at + 4);
      const state = low & 7;
      if ((low & RESERVED_LOW) !== 0) throw vhdxErrors.corrupt("a reserved bit is set");
      if (STATES_WITHOUT_DATA.has(state)) return undefined;
      if (state !== STATE_PRESENT) throw vhdxErrors.corrupt(`block ${block} has state ${state}`);
      const offset = (high * 2 ** 12 + (low >>> 20)) * VHDX_ALIGNMENT;
      if (offset + blockBytes > reader.sizeBytes) {
        throw vhdxErrors.truncated(`block ${block} lies beyond its end`);
      }
      return offset;
    },
  };
}
