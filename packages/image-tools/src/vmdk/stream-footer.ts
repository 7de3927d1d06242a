import { hasBytesAt } from "../detect/detector.ts";
import { readStructure } from "../disk/disk-opener.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { parseVmdkHeader, VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "./vmdk-header.ts";

const FOOTER_SECTORS = 3;
const MARKER_FOOTER = 3;
// As much as the rest of the largest grain.
const MAX_REST_BYTES = 8 * 1024 * 1024;
const MUST_AGREE = [
  "capacity",
  "grain",
  "tableEntries",
  "descriptorOffset",
  "descriptorSize",
  "isCompressed",
] as const;

/**
 * Finds the grain directory of a disk with markers: in the footer where there is one, which then
 * has to agree with the header, and in the header otherwise.
 *
 * @returns the sector of the grain directory, and whether the file has a footer.
 * @see VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"
 */
export async function readStreamFooter(
  reader: RandomAccessReader,
  header: VmdkHeader,
): Promise<{ readonly directory: number; readonly hasFooter: boolean }> {
  const length = FOOTER_SECTORS * VMDK_SECTOR_BYTES;
  const offset = Math.max(0, reader.sizeBytes - length);
  const bytes = await readStructure(reader, vmdkErrors, "the footer", offset, length);
  const hasFooter =
    bytes.readUInt32LE(8) === 0 &&
    bytes.readUInt32LE(12) === MARKER_FOOTER &&
    hasBytesAt(bytes, VMDK_SECTOR_BYTES, "KDMV") &&
    bytes.subarray(2 * VMDK_SECTOR_BYTES).every((byte) => byte === 0);
  if (!hasFooter) {
    if (header.directory === undefined) throw vmdkErrors.truncated("its footer is missing");
    return { directory: header.directory, hasFooter };
  }
  const footer = parseStreamFooter(bytes.subarray(VMDK_SECTOR_BYTES), header);
  const directory = header.directory ?? footer.directory;
  if (directory === undefined) throw vmdkErrors.corrupt("no header says where its tables are");
  return { directory, hasFooter };
}

/** Reads the footer behind its marker. @throws ImageError `IMAGE_CORRUPT` unless it agrees with `header`. */
export function parseStreamFooter(bytes: Buffer, header: VmdkHeader): VmdkHeader {
  const footer = parseVmdkHeader(bytes);
  if (MUST_AGREE.every((key) => footer[key] === header[key])) return footer;
  throw vmdkErrors.corrupt("its header and its footer contradict each other");
}

/**
 * Requires that a file with markers but without a footer ends behind its last grain. Writers leave
 * there either nothing or the rest of the room for an uncompressed grain, as zeros.
 *
 * @param start - Byte at which the last grain or structure begins.
 * @param end - Byte behind it.
 */
export async function requireStreamEnd(
  reader: RandomAccessReader,
  header: VmdkHeader,
  start: number,
  end: number,
): Promise<void> {
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const alignedEnd = Math.ceil(end / VMDK_SECTOR_BYTES) * VMDK_SECTOR_BYTES;
  const isWhole = reader.sizeBytes === alignedEnd || reader.sizeBytes >= start + grainBytes;
  if (!isWhole) throw vmdkErrors.truncated("the end-of-stream marker at its end is missing");
  const length = Math.min(reader.sizeBytes - end, MAX_REST_BYTES);
  const rest = await reader.read(reader.sizeBytes - length, length);
  if (rest.some((byte) => byte !== 0)) {
    throw vmdkErrors.corrupt("behind its last grain there is something else than a footer");
  }
}
