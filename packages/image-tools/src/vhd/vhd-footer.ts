import { formatErrors, type FormatErrors } from "../disk/disk-opener.ts";
import { hasBytesAt } from "../detect/detector.ts";
import { readSafe64BE } from "../disk/read-integer.ts";

/** Errors of this format. */
export const vhdErrors: FormatErrors = formatErrors("vhd");

/** Size of a VHD footer. */
export const VHD_FOOTER_BYTES = 512;

/** The largest VHD disk: 2040 GiB. */
const MAX_DISK_BYTES = 2040 * 2 ** 30;
const CHECKSUM_OFFSET = 64;
const TYPE_FIXED = 2;
const TYPE_DYNAMIC = 3;
const TYPE_DIFFERENCING = 4;
const MAX_CHS_SECTORS = 65535 * 16 * 255;
// These creators write the size as cylinders, heads and sectors and read no other.
const CHS_CREATORS = new Set(["vpc ", "qemu"]);

/** What the footer of a VHD says. */
export interface VhdFooter {
  readonly type: "fixed" | "dynamic";
  readonly virtualSizeBytes: number;
  /** Where the header of a dynamic disk lies. */
  readonly headerOffset: number;
}

/**
 * Reads the footer of a VHD.
 *
 * @see Microsoft Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"
 */
export function parseVhdFooter(bytes: Buffer): VhdFooter {
  if (!hasBytesAt(bytes, 0, "conectix")) {
    throw vhdErrors.truncated("the footer at its end is missing");
  }
  requireVhdChecksum(bytes, CHECKSUM_OFFSET, "footer");
  const type = bytes.readUInt32BE(60);
  if (type === TYPE_DIFFERENCING) {
    throw vhdErrors.unsafe("it holds only the differences to another image; merge them first");
  }
  if (type !== TYPE_FIXED && type !== TYPE_DYNAMIC) {
    throw vhdErrors.corrupt(`its type is ${type}`);
  }
  const currentSize = readSafe64BE(bytes, 48);
  const chsSectors = bytes.readUInt16BE(56) * bytes.readUInt8(58) * bytes.readUInt8(59);
  const isChs =
    CHS_CREATORS.has(bytes.toString("latin1", 28, 32)) &&
    chsSectors > 0 &&
    chsSectors !== MAX_CHS_SECTORS;
  const virtualSizeBytes = isChs ? chsSectors * 512 : currentSize;
  if (virtualSizeBytes > MAX_DISK_BYTES) {
    throw vhdErrors.tooLarge("the format ends at 2040 GiB");
  }
  return {
    type: type === TYPE_FIXED ? "fixed" : "dynamic",
    virtualSizeBytes,
    headerOffset: readSafe64BE(bytes, 16),
  };
}

/** @throws ImageError `IMAGE_CORRUPT` when the ones' complement of the bytes' sum is not stored. */
export function requireVhdChecksum(bytes: Buffer, at: number, structure: string): void {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (index < at || index >= at + 4) sum += bytes[index] as number;
  }
  if (~sum >>> 0 !== bytes.readUInt32BE(at)) {
    throw vhdErrors.corrupt(`the checksum of its ${structure} is wrong`);
  }
}
