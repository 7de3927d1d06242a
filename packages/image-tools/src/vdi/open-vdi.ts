import { blockMapSegments, visitBlocks, type BlockMap } from "../disk/block-map.ts";
import {
  formatErrors,
  readStructure,
  requireWithin,
  type DiskOpener,
  type DiskOpenerOptions,
} from "../disk/disk-opener.ts";
import { ExtentClaims } from "../disk/extent-claims.ts";
import { isPowerOfTwo, readSafe64LE } from "../disk/read-integer.ts";
import { segmentedDiskImage } from "../disk/segmented-disk-image.ts";

const errors = formatErrors("vdi");

const HEADER_BYTES = 512;
const SIGNATURE = 0xbeda107f;
const VERSION_1_1 = 0x00010001;
const TYPE_DYNAMIC = 1;
const TYPE_STATIC = 2;
const UUID_BYTES = 16;
const FREE = 0xfffffffe;

interface VdiHeader {
  readonly virtualSizeBytes: number;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly mapOffset: number;
  readonly dataOffset: number;
  readonly allocatedBlocks: number;
}

/**
 * Opens a VirtualBox disk image, dynamic or static. Every block lies whole in the file and is
 * used once.
 *
 * @see QEMU block/vdi.c
 */
export const openVdi: DiskOpener = async (reader, options) => {
  const header = parseHeader(
    await readStructure(reader, errors, "the header", 0, HEADER_BYTES),
    options,
  );
  const { blockBytes, blocks } = header;
  if (header.mapOffset + blocks * 4 > reader.sizeBytes) {
    throw errors.truncated("the block map lies beyond its end");
  }
  const map: BlockMap = {
    reader,
    blockBytes,
    tableOffset: header.mapOffset,
    entryBytes: 4,
    entries: blocks,
    entryOf: (block) => block,
    locate: (table, at) => {
      const entry = table.readUInt32LE(at);
      if (entry >= FREE) return undefined;
      const offset = header.dataOffset + entry * blockBytes;
      if (offset + blockBytes > reader.sizeBytes) {
        throw errors.truncated(`block ${entry} lies beyond its end`);
      }
      return offset;
    },
  };
  const allocated = options.lazy ? undefined : await checkVdi(map, header, options.signal);
  return segmentedDiskImage({
    format: "vdi",
    virtualSizeBytes: header.virtualSizeBytes,
    allocatedBytes:
      allocated === undefined
        ? undefined
        : Math.min(allocated * blockBytes, header.virtualSizeBytes),
    reader,
    blockBytes,
    warnings:
      allocated === undefined || allocated === header.allocatedBlocks
        ? []
        : [`the header counts ${header.allocatedBlocks} blocks, the map ${allocated}`],
    segments: blockMapSegments(map),
    check: async (signal) => {
      await checkVdi(map, header, signal);
    },
  });
};

async function checkVdi(
  map: BlockMap,
  header: VdiHeader,
  signal: AbortSignal | undefined,
): Promise<number> {
  const claims = new ExtentClaims(errors, 1, 1);
  let allocated = 0;
  await visitBlocks(map, header.blocks, signal, (offset) => {
    claims.claimBlock((offset - header.dataOffset) / header.blockBytes);
    allocated += 1;
  });
  claims.refuseOverlaps();
  return allocated;
}

function parseHeader(bytes: Buffer, options: DiskOpenerOptions): VdiHeader {
  if (bytes.readUInt32LE(0x40) !== SIGNATURE) throw errors.corrupt("its signature is missing");
  if (bytes.readUInt32LE(0x44) !== VERSION_1_1) throw errors.unsupported("its version is not 1.1");
  const type = bytes.readUInt32LE(0x4c);
  const parentUuid = bytes.subarray(0x1b8, 0x1b8 + UUID_BYTES);
  const linkUuid = bytes.subarray(0x1a8, 0x1a8 + UUID_BYTES);
  if (type === 3 || type === 4 || [...parentUuid, ...linkUuid].some((byte) => byte !== 0)) {
    throw errors.unsafe("it holds only the differences to another image; merge them first");
  }
  if (type !== TYPE_DYNAMIC && type !== TYPE_STATIC) throw errors.corrupt(`its type is ${type}`);
  if (bytes.readUInt32LE(0x168) !== 512) throw errors.corrupt("its sectors are not of 512 bytes");

  const virtualSizeBytes = readSafe64LE(bytes, 0x170);
  requireWithin(errors, "the disk", virtualSizeBytes, options.maxVirtualSizeBytes);
  const blockBytes = bytes.readUInt32LE(0x178);
  if (!isPowerOfTwo(blockBytes, 4096, 64 * 1024 * 1024)) {
    throw errors.corrupt(`its block size is ${blockBytes}`);
  }
  if (bytes.readUInt32LE(0x17c) !== 0) throw errors.unsupported("its blocks carry extra data");
  const blocks = bytes.readUInt32LE(0x180);
  requireWithin(errors, "the block map", blocks * 4, options.maxTableBytes);
  if (blocks < Math.ceil(virtualSizeBytes / blockBytes)) {
    throw errors.corrupt("the block map is too short for the size of the disk");
  }
  const mapOffset = bytes.readUInt32LE(0x154);
  const dataOffset = bytes.readUInt32LE(0x158);
  if (mapOffset < HEADER_BYTES || dataOffset < mapOffset + blocks * 4) {
    throw errors.corrupt("its header, block map and data overlap");
  }
  const allocatedBlocks = bytes.readUInt32LE(0x184);
  return { virtualSizeBytes, blockBytes, blocks, mapOffset, dataOffset, allocatedBlocks };
}
