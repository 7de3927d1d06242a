import { blockMapSegments, visitBlocks, type BlockMap } from "../disk/block-map.ts";
import type { DiskImage } from "../disk/disk-image.ts";
import {
  readStructure,
  requireWithin,
  type DiskOpener,
  type DiskOpenerOptions,
} from "../disk/disk-opener.ts";
import { ExtentClaims } from "../disk/extent-claims.ts";
import { isPowerOfTwo, readSafe64BE } from "../disk/read-integer.ts";
import { segmentedDiskImage } from "../disk/segmented-disk-image.ts";
import { hasBytesAt } from "../detect/detector.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import {
  parseVhdFooter,
  requireVhdChecksum,
  VHD_FOOTER_BYTES,
  vhdErrors,
  type VhdFooter,
} from "./vhd-footer.ts";

const HEADER_BYTES = 1024;
const HEADER_CHECKSUM_OFFSET = 36;
const SECTOR_BYTES = 512;
const UNUSED = 0xffffffff;
const FIXED_BLOCK_BYTES = 1024 * 1024;

/**
 * Opens a VHD, fixed or dynamic. The size of the disk is that of its geometry where Virtual PC or
 * QEMU made it, and the current size otherwise. Every block lies whole in the file and is used
 * once.
 *
 * @see Microsoft Virtual Hard Disk Image Format Specification 1.0
 */
export const openVhd: DiskOpener = async (reader, options) => {
  const footerOffset = Math.max(0, reader.sizeBytes - VHD_FOOTER_BYTES);
  const bytes = await readStructure(
    reader,
    vhdErrors,
    "the footer",
    footerOffset,
    VHD_FOOTER_BYTES,
  );
  const footer = parseVhdFooter(bytes);
  requireWithin(vhdErrors, "the disk", footer.virtualSizeBytes, options.maxVirtualSizeBytes);
  return footer.type === "fixed"
    ? openFixed(reader, footer, footerOffset)
    : openDynamic(reader, footer, footerOffset, options);
};

function openFixed(reader: RandomAccessReader, footer: VhdFooter, dataEnd: number): DiskImage {
  const { virtualSizeBytes } = footer;
  if (virtualSizeBytes > dataEnd) {
    throw vhdErrors.truncated(`the disk has ${virtualSizeBytes} bytes, the file ${dataEnd}`);
  }
  return segmentedDiskImage({
    format: "vhd",
    virtualSizeBytes,
    allocatedBytes: virtualSizeBytes,
    reader,
    blockBytes: FIXED_BLOCK_BYTES,
    warnings: [],
    segments: async function* segments(start, end) {
      if (end > start) yield [{ type: "data", length: end - start, hostOffset: start }];
    },
    check: async () => {},
  });
}

interface VhdDynamicHeader {
  readonly tableOffset: number;
  readonly entries: number;
  readonly blockBytes: number;
  /** Size of the bitmap in front of each block. */
  readonly bitmapBytes: number;
}

async function openDynamic(
  reader: RandomAccessReader,
  footer: VhdFooter,
  dataEnd: number,
  options: DiskOpenerOptions,
): Promise<DiskImage> {
  const { headerOffset, virtualSizeBytes } = footer;
  const header = parseDynamicHeader(
    await readStructure(reader, vhdErrors, "the header", headerOffset, HEADER_BYTES),
    options,
  );
  const { blockBytes, bitmapBytes, entries, tableOffset } = header;
  const blocks = Math.ceil(virtualSizeBytes / blockBytes);
  if (entries < blocks) {
    throw vhdErrors.corrupt("the block table is too short for the size of the disk");
  }
  if (tableOffset + entries * 4 > dataEnd) {
    throw vhdErrors.truncated("the block table lies beyond its end");
  }
  const map: BlockMap = {
    reader,
    blockBytes,
    tableOffset,
    entryBytes: 4,
    entries,
    entryOf: (block) => block,
    locate: (table, at, block) => {
      const entry = table.readUInt32BE(at);
      if (entry === UNUSED) return undefined;
      const offset = entry * SECTOR_BYTES + bitmapBytes;
      if (offset + blockBytes > dataEnd) {
        throw vhdErrors.truncated(`block ${block} lies beyond its end`);
      }
      return offset;
    },
  };
  const check = async (signal: AbortSignal | undefined): Promise<number> => {
    const claims = new ExtentClaims(vhdErrors, 1, (bitmapBytes + blockBytes) / SECTOR_BYTES);
    claims.claimFixed(0, VHD_FOOTER_BYTES / SECTOR_BYTES);
    claims.claimFixed(headerOffset / SECTOR_BYTES, HEADER_BYTES / SECTOR_BYTES);
    claims.claimFixed(tableOffset / SECTOR_BYTES, (entries * 4) / SECTOR_BYTES);
    let allocated = 0;
    await visitBlocks(map, blocks, signal, (offset) => {
      claims.claimBlock((offset - bitmapBytes) / SECTOR_BYTES);
      allocated += 1;
    });
    claims.refuseOverlaps();
    return allocated;
  };
  const allocated = options.lazy ? undefined : await check(options.signal);
  return segmentedDiskImage({
    format: "vhd",
    virtualSizeBytes,
    allocatedBytes:
      allocated === undefined ? undefined : Math.min(allocated * blockBytes, virtualSizeBytes),
    reader,
    blockBytes,
    warnings: [],
    segments: blockMapSegments(map),
    check: async (signal) => {
      await check(signal);
    },
  });
}

function parseDynamicHeader(bytes: Buffer, options: DiskOpenerOptions): VhdDynamicHeader {
  if (!hasBytesAt(bytes, 0, "cxsparse")) throw vhdErrors.corrupt("its header is missing");
  requireVhdChecksum(bytes, HEADER_CHECKSUM_OFFSET, "header");
  const entries = bytes.readUInt32BE(28);
  requireWithin(vhdErrors, "the block table", entries * 4, options.maxTableBytes);
  const blockBytes = bytes.readUInt32BE(32);
  if (!isPowerOfTwo(blockBytes, 4096, 256 * 1024 * 1024)) {
    throw vhdErrors.corrupt(`its block size is ${blockBytes}`);
  }
  const bitmapBytes = Math.ceil(blockBytes / SECTOR_BYTES / 8 / SECTOR_BYTES) * SECTOR_BYTES;
  return { tableOffset: readSafe64BE(bytes, 16), entries, blockBytes, bitmapBytes };
}
