import { ImageError } from "../image-error.ts";

/** "QFI\xfb" as a big-endian number. */
const QCOW2_MAGIC = 0x514649fb;

const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;
const MAX_TABLE_BYTES = 32 * 1024 * 1024;
const MAX_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024;
const MAX_SNAPSHOTS = 65536;

const INCOMPATIBLE_DIRTY = 1 << 0;
const INCOMPATIBLE_CORRUPT = 1 << 1;
const INCOMPATIBLE_DATA_FILE = 1 << 2;
const INCOMPATIBLE_COMPRESSION = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2 = 1 << 4;
const INCOMPATIBLE_KNOWN = 0b11111;

const EXTENSION_DATA_FILE = 0x44415441;

/** The validated header of a qcow2 image that is complete in itself. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly virtualSizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableBytes: number;
  readonly compression: "deflate" | "zstd";
  readonly extendedL2: boolean;
  /** Whether the image was not closed properly; its reference counts may be stale, its data is not. */
  readonly dirty: boolean;
  readonly snapshots: number;
  /** 0 where there are no snapshots. */
  readonly snapshotTableOffset: number;
  /** What is odd and yet harmless. */
  readonly warnings: readonly string[];
}

/** Limits that {@link parseQcow2Header} enforces. */
export interface Qcow2HeaderLimits {
  readonly maxVirtualSizeBytes: number;
  /** Default and upper bound: 32 MiB. */
  readonly maxTableBytes?: number | undefined;
}

/**
 * Reads and validates a qcow2 header, version 2 or 3, from the first bytes of an image: give the
 * whole first cluster, or all there is. Refuses everything that would need another file or a key.
 *
 * @throws ImageError `IMAGE_TRUNCATED`, `IMAGE_CORRUPT`, `IMAGE_UNSAFE`, `IMAGE_UNSUPPORTED` or
 * `IMAGE_TOO_LARGE`.
 * @see QEMU docs/interop/qcow2, "Header" and "Header extensions"
 */
export function parseQcow2Header(head: Buffer, limits: Qcow2HeaderLimits): Qcow2Header {
  if (head.length < 8) throw truncated("its header is incomplete");
  if (head.readUInt32BE(0) !== QCOW2_MAGIC) throw corrupt("it does not begin with the qcow2 magic");
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) {
    throw new ImageError("IMAGE_UNSUPPORTED", `qcow2 version ${version} is not supported`);
  }
  const fixedBytes = version === 2 ? V2_HEADER_BYTES : V3_HEADER_BYTES;
  if (head.length < fixedBytes) throw truncated("its header is incomplete");

  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) {
    throw corrupt(`cluster_bits is ${clusterBits}, outside 9 to 21`);
  }
  const clusterSize = 2 ** clusterBits;
  refuseExternal(head);
  const features = version === 3 ? parseFeatures(head) : VERSION_2_FEATURES;
  if (features.extendedL2 && clusterBits < 14) {
    throw corrupt("extended L2 entries need clusters of at least 16 KiB");
  }
  if (features.headerBytes > clusterSize) throw corrupt("the header is larger than a cluster");
  checkExtensions(head.subarray(0, clusterSize), features.headerBytes, clusterSize);

  const virtualSizeBytes = readSize(head, 24, limits.maxVirtualSizeBytes);
  const l1Entries = head.readUInt32BE(36);
  if (l1Entries * 8 > Math.min(MAX_TABLE_BYTES, limits.maxTableBytes ?? MAX_TABLE_BYTES)) {
    throw new ImageError("IMAGE_TOO_LARGE", `the qcow2 L1 table has ${l1Entries} entries`);
  }
  const l2Entries = clusterSize / (features.extendedL2 ? 16 : 8);
  if (l1Entries < Math.ceil(virtualSizeBytes / (l2Entries * clusterSize))) {
    throw corrupt("the L1 table is too short for the virtual size");
  }
  const refcountTableClusters = head.readUInt32BE(56);
  if (refcountTableClusters === 0) throw corrupt("it has no refcount table");
  if (refcountTableClusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    throw new ImageError("IMAGE_TOO_LARGE", "the qcow2 refcount table exceeds 8 MiB");
  }
  const snapshots = head.readUInt32BE(60);
  if (snapshots > MAX_SNAPSHOTS) {
    throw new ImageError("IMAGE_TOO_LARGE", `the qcow2 image has ${snapshots} internal snapshots`);
  }

  return {
    version,
    clusterBits,
    clusterSize,
    virtualSizeBytes,
    l1Entries,
    l1Offset: l1Entries === 0 ? 0 : readTableOffset(head, 40, clusterSize, "L1 table"),
    refcountTableOffset: readTableOffset(head, 48, clusterSize, "refcount table"),
    refcountTableBytes: refcountTableClusters * clusterSize,
    compression: features.compression,
    extendedL2: features.extendedL2,
    dirty: features.dirty,
    snapshots,
    snapshotTableOffset:
      snapshots === 0 ? 0 : readTableOffset(head, 64, clusterSize, "snapshot table"),
    warnings: describeOddities(features, virtualSizeBytes),
  };
}

function describeOddities(features: Qcow2Features, virtualSizeBytes: number): readonly string[] {
  const warnings: string[] = [];
  if (virtualSizeBytes === 0) warnings.push("the disk has a size of 0 bytes");
  if (features.dirty) warnings.push("the image was not closed properly");
  if (features.headerBytes % 8 !== 0) {
    warnings.push(`the header length ${features.headerBytes} is not a multiple of 8`);
  }
  return warnings;
}

interface Qcow2Features {
  readonly headerBytes: number;
  readonly compression: "deflate" | "zstd";
  readonly extendedL2: boolean;
  readonly dirty: boolean;
}

const VERSION_2_FEATURES: Qcow2Features = {
  headerBytes: V2_HEADER_BYTES,
  compression: "deflate",
  extendedL2: false,
  dirty: false,
};

function parseFeatures(head: Buffer): Qcow2Features {
  const incompatible = head.readUInt32BE(76);
  if (head.readUInt32BE(72) !== 0 || (incompatible & ~INCOMPATIBLE_KNOWN) !== 0) {
    throw new ImageError("IMAGE_UNSUPPORTED", "the qcow2 image uses unknown incompatible features");
  }
  if (incompatible & INCOMPATIBLE_DATA_FILE) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      "the qcow2 image keeps its data in another file; convert it to an image without data file",
    );
  }
  if (incompatible & INCOMPATIBLE_CORRUPT) {
    throw corrupt("it is marked as corrupt; repair it with qemu-img check -r all");
  }
  const refcountOrder = head.readUInt32BE(96);
  if (refcountOrder > 6) throw corrupt(`refcount_order is ${refcountOrder}, above 6`);
  const headerBytes = head.readUInt32BE(100);
  if (headerBytes < V3_HEADER_BYTES) throw corrupt(`header_length is ${headerBytes}`);

  const compressionFlag = (incompatible & INCOMPATIBLE_COMPRESSION) !== 0;
  const compressionType = headerBytes > V3_HEADER_BYTES && head.length > 104 ? head[104] : 0;
  if (compressionType !== 0 && compressionType !== 1) {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      `qcow2 compression type ${compressionType} is unknown`,
    );
  }
  if (compressionFlag !== (compressionType !== 0)) {
    throw corrupt("the compression type and its feature bit contradict each other");
  }
  return {
    headerBytes,
    compression: compressionType === 1 ? "zstd" : "deflate",
    extendedL2: (incompatible & INCOMPATIBLE_EXTENDED_L2) !== 0,
    dirty: (incompatible & INCOMPATIBLE_DIRTY) !== 0,
  };
}

function refuseExternal(head: Buffer): void {
  const hasBackingOffset = head.readUInt32BE(8) !== 0 || head.readUInt32BE(12) !== 0;
  if (hasBackingOffset || head.readUInt32BE(16) !== 0) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      "the qcow2 image needs a backing file; flatten it with qemu-img convert before importing",
    );
  }
  const encryption = head.readUInt32BE(32);
  if (encryption === 0) return;
  if (encryption > 2) throw corrupt(`encryption method ${encryption} is unknown`);
  throw new ImageError(
    "IMAGE_UNSAFE",
    `the qcow2 image is encrypted with ${encryption === 1 ? "AES" : "LUKS"}; decrypt it first`,
  );
}

function checkExtensions(cluster: Buffer, start: number, clusterSize: number): void {
  let position = start;
  while (position + 8 <= cluster.length) {
    const type = cluster.readUInt32BE(position);
    const length = cluster.readUInt32BE(position + 4);
    if (length > clusterSize - position - 8) {
      throw corrupt("a header extension reaches beyond the first cluster");
    }
    if (type === 0) return;
    if (type === EXTENSION_DATA_FILE) {
      throw new ImageError("IMAGE_UNSAFE", "the header of the qcow2 image names a data file");
    }
    position += 8 + Math.ceil(length / 8) * 8;
  }
}

function readSize(head: Buffer, position: number, maximum: number): number {
  const size = head.readUInt32BE(position) * 2 ** 32 + head.readUInt32BE(position + 4);
  if (size > maximum) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `the virtual size of the qcow2 image exceeds the limit of ${maximum} bytes`,
    );
  }
  return size;
}

function readTableOffset(
  head: Buffer,
  position: number,
  clusterSize: number,
  table: string,
): number {
  const high = head.readUInt32BE(position);
  const offset = high * 2 ** 32 + head.readUInt32BE(position + 4);
  if (offset === 0 || offset % clusterSize !== 0) {
    throw corrupt(`the ${table} is not at the start of a cluster behind the header`);
  }
  // Beyond 2^53 the number would have been rounded.
  if (high >= 2 ** 21) throw truncated(`the ${table} lies beyond the end of the file`);
  return offset;
}

function corrupt(reason: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the qcow2 image is corrupt: ${reason}`);
}

function truncated(reason: string): ImageError {
  return new ImageError("IMAGE_TRUNCATED", `the qcow2 image is cut short: ${reason}`);
}
