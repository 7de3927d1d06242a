import { hasBytesAt } from "../detect/detector.ts";
import { formatErrors, type FormatErrors } from "../disk/disk-opener.ts";
import { isPowerOfTwo, readSafe64LE } from "../disk/read-integer.ts";

/** Errors of this format. */
export const vmdkErrors: FormatErrors = formatErrors("vmdk");

/** Unit of all sizes and offsets in a VMDK. */
export const VMDK_SECTOR_BYTES = 512;

const MAX_GRAIN_SECTORS = 16 * 1024;
const MAX_TABLE_ENTRIES = 512;
const COMPRESSION_NONE = 0;
const COMPRESSION_DEFLATE = 1;

/** The validated header of a sparse extent; offsets and sizes are in sectors. */
export interface VmdkHeader {
  readonly capacity: number;
  readonly grain: number;
  readonly tableEntries: number;
  readonly descriptorOffset: number;
  readonly descriptorSize: number;
  /** Where the grain directory begins; `undefined` when only the footer knows. */
  readonly directory: number | undefined;
  readonly overhead: number;
  readonly isCompressed: boolean;
  /** Whether grains and tables have markers and the file ends with an end-of-stream marker. */
  readonly hasMarkers: boolean;
  readonly hasZeroGrains: boolean;
}

/**
 * Reads the header of a hosted sparse extent.
 *
 * @see VMware Virtual Disk Format 5.0, "Hosted Sparse Extent Header"
 */
export function parseVmdkHeader(bytes: Buffer): VmdkHeader {
  if (!hasBytesAt(bytes, 0, "KDMV")) {
    throw vmdkErrors.unsupported("it is of an ESX format; convert it to monolithicSparse");
  }
  const version = bytes.readUInt32LE(4);
  if (version < 1 || version > 3) throw vmdkErrors.unsupported(`its version is ${version}`);
  if (!hasBytesAt(bytes, 73, "\n \r\n")) {
    throw vmdkErrors.corrupt("line ends have been converted in transfer");
  }
  const capacity = readSafe64LE(bytes, 12);
  if (capacity === 0) {
    throw vmdkErrors.unsafe("it has no size of its own and could name other files");
  }
  const grain = readSafe64LE(bytes, 20);
  if (!isPowerOfTwo(grain, 8, MAX_GRAIN_SECTORS)) {
    throw vmdkErrors.corrupt(`its grain size is ${grain} sectors`);
  }
  const tableEntries = bytes.readUInt32LE(44);
  if (tableEntries < 1 || tableEntries > MAX_TABLE_ENTRIES) {
    throw vmdkErrors.corrupt(`its grain tables have ${tableEntries} entries`);
  }
  const flags = bytes.readUInt32LE(8);
  const compression = bytes.readUInt16LE(77);
  const isCompressed = (flags & 0x10000) !== 0;
  if (compression > COMPRESSION_DEFLATE) {
    throw vmdkErrors.unsupported(`its compression is ${compression}`);
  }
  if (isCompressed !== (compression !== COMPRESSION_NONE)) {
    throw vmdkErrors.corrupt("its compression and its flags contradict each other");
  }
  return {
    capacity,
    grain,
    tableEntries,
    descriptorOffset: readSafe64LE(bytes, 28),
    descriptorSize: readSafe64LE(bytes, 36),
    directory: isAllOnes(bytes, 56) ? undefined : readSafe64LE(bytes, 56),
    overhead: readSafe64LE(bytes, 64),
    isCompressed,
    hasMarkers: (flags & 0x20000) !== 0,
    hasZeroGrains: (flags & 4) !== 0,
  };
}

function isAllOnes(bytes: Buffer, at: number): boolean {
  return bytes.readUInt32LE(at) === 0xffffffff && bytes.readUInt32LE(at + 4) === 0xffffffff;
}
