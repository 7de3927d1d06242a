import { readStructure } from "../disk/disk-opener.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { parseVmdkHeader, VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "./vmdk-header.ts";

const FOOTER_SECTORS = 3;
const MARKER_FOOTER = 3;
const MUST_AGREE = [
  "capacity",
  "grain",
  "tableEntries",
  "descriptorOffset",
  "descriptorSize",
  "isCompressed",
] as const;

/**
 * Finds the grain directory of a disk with markers and requires that the file ends as such a file
 * must: with an end-of-stream marker, and behind a footer that agrees with the header.
 *
 * @returns the sector of the grain directory.
 * @see VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"
 */
export async function readStreamFooter(
  reader: RandomAccessReader,
  header: VmdkHeader,
): Promise<number> {
  const length = FOOTER_SECTORS * VMDK_SECTOR_BYTES;
  const offset = Math.max(0, reader.sizeBytes - length);
  const bytes = await readStructure(reader, vmdkErrors, "the footer", offset, length);
  const hasEnd = bytes.subarray(2 * VMDK_SECTOR_BYTES).every((byte) => byte === 0);
  if (!hasEnd) throw vmdkErrors.truncated("the end-of-stream marker at its end is missing");
  const hasFooter = bytes.readUInt32LE(8) === 0 && bytes.readUInt32LE(12) === MARKER_FOOTER;
  if (!hasFooter) {
    if (header.directory === undefined) throw vmdkErrors.truncated("its footer is missing");
    throw vmdkErrors.truncated("the footer in front of its end-of-stream marker is missing");
  }
  const footer = parseVmdkHeader(bytes.subarray(VMDK_SECTOR_BYTES));
  if (MUST_AGREE.some((key) => footer[key] !== header[key])) {
    throw vmdkErrors.corrupt("its header and its footer contradict each other");
  }
  const directory = header.directory ?? footer.directory;
  if (directory === undefined) throw vmdkErrors.corrupt("no header says where its tables are");
  return directory;
}
