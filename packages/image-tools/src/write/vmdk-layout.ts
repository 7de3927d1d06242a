/** Size of the unit of all positions in a VMDK image. */
export const VMDK_SECTOR_BYTES = 512;

/** Size of the blocks that are compressed. */
export const VMDK_GRAIN_BYTES: number = 64 * 1024;

/** Entries of one grain table. */
export const VMDK_GRAINS_PER_TABLE = 512;

/** Room for the descriptor, from sector 1. */
const VMDK_DESCRIPTOR_SECTORS = 20;

/** Sectors in front of the first grain. */
export const VMDK_OVERHEAD_SECTORS = 128;

/** Types of the metadata in a stream. */
export const VMDK_MARKER = {
  endOfStream: 0,
  grainTable: 1,
  grainDirectory: 2,
  footer: 3,
} as const;

const NEWLINE_TEST_AND_STREAM_FLAGS = 0x30001;
const DEFLATE = 1;
const DIRECTORY_AT_END = 2n ** 64n - 1n;
const HEADS = 16;
const SECTORS_PER_TRACK = 63;

/**
 * The header of a streamOptimized image, which is repeated as its footer with the sector of the
 * grain directory.
 */
export function vmdkSparseHeader(
  sizeBytes: number,
  directorySector: number | "at the end",
): Buffer {
  const header = Buffer.alloc(VMDK_SECTOR_BYTES);
  header.write("KDMV", 0, "latin1");
  header.writeUInt32LE(3, 4);
  header.writeUInt32LE(NEWLINE_TEST_AND_STREAM_FLAGS, 8);
  header.writeBigUInt64LE(BigInt(capacitySectors(sizeBytes)), 12);
  header.writeBigUInt64LE(BigInt(VMDK_GRAIN_BYTES / VMDK_SECTOR_BYTES), 20);
  header.writeBigUInt64LE(1n, 28);
  header.writeBigUInt64LE(BigInt(VMDK_DESCRIPTOR_SECTORS), 36);
  header.writeUInt32LE(VMDK_GRAINS_PER_TABLE, 44);
  const directory = directorySector === "at the end" ? DIRECTORY_AT_END : BigInt(directorySector);
  header.writeBigUInt64LE(directory, 56);
  header.writeBigUInt64LE(BigInt(VMDK_OVERHEAD_SECTORS), 64);
  header.write("\n \r\n", 73, "latin1");
  header.writeUInt16LE(DEFLATE, 77);
  return header;
}

/** The descriptor of a disk in one streamOptimized file. */
export function vmdkDescriptor(sizeBytes: number, fileName: string): string {
  const sectors = capacitySectors(sizeBytes);
  const cylinders = Math.min(16383, Math.ceil(sectors / (HEADS * SECTORS_PER_TRACK)));
  return [
    "# Disk DescriptorFile",
    "version=1",
    "CID=fffffffe",
    "parentCID=ffffffff",
    'createType="streamOptimized"',
    "",
    "# Extent description",
    `RW ${sectors} SPARSE "${fileName.replaceAll(/[^\w.-]/g, "_").slice(0, 128)}"`,
    "",
    "# The Disk Data Base",
    'ddb.adapterType = "lsilogic"',
    `ddb.geometry.cylinders = "${cylinders}"`,
    `ddb.geometry.heads = "${HEADS}"`,
    `ddb.geometry.sectors = "${SECTORS_PER_TRACK}"`,
    'ddb.virtualHWVersion = "4"',
    "",
  ].join("\n");
}

/** The marker in front of `bytes` of metadata. */
export function vmdkMarker(type: number, bytes: number): Buffer {
  const marker = Buffer.alloc(VMDK_SECTOR_BYTES);
  marker.writeBigUInt64LE(BigInt(bytes / VMDK_SECTOR_BYTES), 0);
  marker.writeUInt32LE(type, 12);
  return marker;
}

/** The marker in front of a compressed grain. */
export function vmdkGrainMarker(firstSector: number, bytes: number): Buffer {
  const marker = Buffer.alloc(12);
  marker.writeBigUInt64LE(BigInt(firstSector), 0);
  marker.writeUInt32LE(bytes, 8);
  return marker;
}

function capacitySectors(sizeBytes: number): number {
  return Math.ceil(sizeBytes / VMDK_SECTOR_BYTES);
}
