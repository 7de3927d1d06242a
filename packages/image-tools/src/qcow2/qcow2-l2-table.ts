import type { CompressedSegment, DiskSegment } from "../disk/disk-segment.ts";
import { ImageError } from "../image-error.ts";
import type { Qcow2Header } from "./qcow2-header.ts";

const SUBCLUSTERS = 32;

/** A {@link DiskSegment}; a hole has `allocatedOffset` when the file keeps a cluster for it. */
export type Qcow2Segment =
  | Exclude<DiskSegment, { readonly type: "hole" }>
  | { readonly type: "hole"; readonly length: number; readonly allocatedOffset?: number };

/** What of the header says how tables are to be read. */
export type Qcow2TableFormat = Pick<
  Qcow2Header,
  "version" | "clusterBits" | "clusterSize" | "compression" | "extendedL2"
>;

/** Reads the L1 entry at `index`; returns the offset of its L2 table, `undefined` if it has none. */
export function readL1Entry(header: Qcow2Header, l1: Buffer, index: number): number | undefined {
  const high = l1.readUInt32BE(index * 8);
  const low = l1.readUInt32BE(index * 8 + 4);
  if (high === 0 && low === 0) return undefined;
  if ((high & 0x7f000000) !== 0 || (low & 0x1ff) !== 0) {
    throw corrupt(`L1 entry ${index} has reserved bits set`);
  }
  const offset = (high & 0x00ffffff) * 2 ** 32 + low;
  if (offset === 0) {
    if ((high & 0x80000000) !== 0) throw corrupt(`L1 entry ${index} points at the header`);
    return undefined;
  }
  if (offset % header.clusterSize !== 0) throw corrupt(`L1 entry ${index} is not cluster-aligned`);
  return offset;
}

/** Bytes of the disk that one L2 table describes. */
export function l2CoverageBytes(header: Qcow2Header): number {
  return (header.clusterSize / (header.extendedL2 ? 16 : 8)) * header.clusterSize;
}

/**
 * Walks the entries of an L2 table for the `length` bytes of the disk from `start`, both relative
 * to the table's first byte and `start` a multiple of the cluster size.
 *
 * @see QEMU docs/interop/qcow2, "Cluster mapping" and "Extended L2 Entries"
 */
export function* readL2Table(
  header: Qcow2TableFormat,
  table: Buffer,
  start: number,
  length: number,
): Generator<Qcow2Segment> {
  const { clusterSize } = header;
  const entryBytes = header.extendedL2 ? 16 : 8;
  const end = start + length;
  for (let position = start; position < end; position += clusterSize) {
    const index = position / clusterSize;
    const at = index * entryBytes;
    const wanted = Math.min(clusterSize, end - position);
    const high = table.readUInt32BE(at);
    const low = table.readUInt32BE(at + 4);
    if (header.extendedL2) {
      yield* readExtendedEntry(header, table, at, wanted);
    } else if (high === 0 && low === 0) {
      yield { type: "hole", length: wanted };
    } else if ((high & 0x40000000) !== 0) {
      yield readCompressedEntry(header, high, low, wanted);
    } else {
      yield readStandardEntry(header, high, low, wanted);
    }
  }
}

function readStandardEntry(
  header: Qcow2TableFormat,
  high: number,
  low: number,
  length: number,
): Qcow2Segment {
  const hostOffset = readHostOffset(header, high, low, header.version === 3 ? 0x1fe : 0x1ff);
  if ((low & 1) !== 0) {
    return hostOffset === 0
      ? { type: "hole", length }
      : { type: "hole", length, allocatedOffset: hostOffset };
  }
  if (hostOffset === 0) {
    if ((high & 0x80000000) !== 0) throw corrupt("a data cluster points at the header");
    return { type: "hole", length };
  }
  return { type: "data", length, hostOffset };
}

function* readExtendedEntry(
  header: Qcow2TableFormat,
  table: Buffer,
  at: number,
  length: number,
): Generator<Qcow2Segment> {
  const high = table.readUInt32BE(at);
  const low = table.readUInt32BE(at + 4);
  const zeroBits = table.readUInt32BE(at + 8);
  const dataBits = table.readUInt32BE(at + 12);
  if ((high & 0x40000000) !== 0) {
    if (zeroBits !== 0 || dataBits !== 0) throw corrupt("a compressed cluster has subclusters");
    yield readCompressedEntry(header, high, low, length);
    return;
  }
  const hostOffset = readHostOffset(header, high, low, 0x1ff);
  if ((zeroBits & dataBits) !== 0) throw corrupt("a subcluster is both data and zero");
  if (hostOffset === 0 && (dataBits !== 0 || (high & 0x80000000) !== 0)) {
    throw corrupt("a data cluster points at the header");
  }
  if (dataBits === 0) {
    yield hostOffset === 0
      ? { type: "hole", length }
      : { type: "hole", length, allocatedOffset: hostOffset };
    return;
  }
  const subclusterSize = header.clusterSize / SUBCLUSTERS;
  let start = 0;
  while (start < length) {
    const first = start / subclusterSize;
    const isData = ((dataBits >>> first) & 1) === 1;
    let next = first + 1;
    while (next < SUBCLUSTERS && (((dataBits >>> next) & 1) === 1) === isData) next += 1;
    const runEnd = Math.min(next * subclusterSize, length);
    const runLength = runEnd - start;
    yield isData
      ? { type: "data", length: runLength, hostOffset: hostOffset + start }
      : { type: "hole", length: runLength };
    start = runEnd;
  }
}

function readHostOffset(
  header: Qcow2TableFormat,
  high: number,
  low: number,
  reservedLow: number,
): number {
  if ((high & 0x3f000000) !== 0 || (low & reservedLow) !== 0) {
    throw corrupt("an L2 entry has reserved bits set");
  }
  const offset = (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
  if (offset % header.clusterSize !== 0) throw corrupt("a data cluster is not cluster-aligned");
  return offset;
}

function readCompressedEntry(
  header: Qcow2TableFormat,
  high: number,
  low: number,
  length: number,
): CompressedSegment {
  if ((high & 0x80000000) !== 0) throw corrupt("a compressed cluster has the copied bit set");
  const sectorBits = header.clusterBits - 8;
  const sectorShift = 30 - sectorBits;
  const additionalSectors = (high & 0x3fffffff) >>> sectorShift;
  const hostOffset = (high & (2 ** sectorShift - 1)) * 2 ** 32 + low;
  return {
    type: "compressed",
    length,
    hostOffset,
    hostLength: (additionalSectors + 1) * 512 - (hostOffset % 512),
    codec: header.compression,
    blockBytes: header.clusterSize,
  };
}

function corrupt(reason: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the qcow2 image is corrupt: ${reason}`);
}
