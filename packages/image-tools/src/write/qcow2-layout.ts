import type { DiskSegment } from "../disk/disk-segment.ts";
import { readL2Table, type Qcow2TableFormat } from "../qcow2/qcow2-l2-table.ts";

const CLUSTER_BITS = 16;
const HEADER_LENGTH = 112;
const INCOMPATIBLE_COMPRESSION_TYPE = 1 << 3;
const COPIED = 2 ** 31;
const COMPRESSED = 2 ** 30;
// The bits of a compressed entry that hold the offset; those above it count sectors.
const COMPRESSED_OFFSET_BITS = 62 - (CLUSTER_BITS - 8);

/** Size of the clusters that are written. */
export const QCOW2_CLUSTER_BYTES: number = 2 ** CLUSTER_BITS;

/** Entries of one L2 table. */
export const QCOW2_L2_ENTRIES: number = QCOW2_CLUSTER_BYTES / 8;

/** Bytes of the disk that one L2 table describes. */
export const QCOW2_TABLE_COVERAGE: number = QCOW2_L2_ENTRIES * QCOW2_CLUSTER_BYTES;

/** What the header of a qcow2 image says. */
export interface Qcow2HeaderFields {
  readonly sizeBytes: number;
  readonly compression: "deflate" | "zstd";
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
}

/** The first cluster of a qcow2 image, version 3. @see QEMU docs/interop/qcow2, "Header" */
export function qcow2HeaderCluster(fields: Qcow2HeaderFields): Buffer {
  const header = Buffer.alloc(QCOW2_CLUSTER_BYTES);
  header.write("QFI\xfb", 0, "latin1");
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(CLUSTER_BITS, 20);
  header.writeBigUInt64BE(BigInt(fields.sizeBytes), 24);
  header.writeUInt32BE(fields.l1Entries, 36);
  header.writeBigUInt64BE(BigInt(fields.l1Offset), 40);
  header.writeBigUInt64BE(BigInt(fields.refcountTableOffset), 48);
  header.writeUInt32BE(fields.refcountTableClusters, 56);
  const isZstd = fields.compression === "zstd";
  header.writeUInt32BE(isZstd ? INCOMPATIBLE_COMPRESSION_TYPE : 0, 76);
  header.writeUInt32BE(4, 96);
  header.writeUInt32BE(HEADER_LENGTH, 100);
  header[104] = isZstd ? 1 : 0;
  return header;
}

/** Sets an entry of an L1 or L2 table to a cluster that is used once. */
export function writeClusterEntry(table: Buffer, index: number, offset: number): void {
  table.writeUInt32BE((COPIED + Math.floor(offset / 2 ** 32)) >>> 0, index * 8);
  table.writeUInt32BE(offset % 2 ** 32, index * 8 + 4);
}

/**
 * Sets an L2 entry to compressed data. Returns the length to the end of its last sector, all of
 * which counts as used.
 *
 * @see QEMU docs/interop/qcow2, "Compressed Clusters Descriptor"
 */
export function writeCompressedEntry(
  table: Buffer,
  index: number,
  offset: number,
  length: number,
): number {
  const additionalSectors = Math.floor((offset + length - 1) / 512) - Math.floor(offset / 512);
  const high = additionalSectors * 2 ** (COMPRESSED_OFFSET_BITS - 32);
  table.writeUInt32BE((COMPRESSED + high + Math.floor(offset / 2 ** 32)) >>> 0, index * 8);
  table.writeUInt32BE(offset % 2 ** 32, index * 8 + 4);
  return (additionalSectors + 1) * 512 - (offset % 512);
}

/**
 * Where the `length` bytes from `start` of an L2 table's part of the disk lie, cluster by cluster.
 *
 * @throws ImageError `IMAGE_CORRUPT` for an impossible entry.
 */
export function locateInQcow2Table(
  table: Buffer,
  compression: "deflate" | "zstd",
  start: number,
  length: number,
): readonly DiskSegment[] {
  const format: Qcow2TableFormat = {
    version: 3,
    clusterBits: CLUSTER_BITS,
    clusterSize: QCOW2_CLUSTER_BYTES,
    compression,
    extendedL2: false,
  };
  return [...readL2Table(format, table, start, length)];
}
