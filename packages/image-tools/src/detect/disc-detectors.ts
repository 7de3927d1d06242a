import { hasBytesAt, type Detector } from "./detector.ts";

const SECTOR_BYTES = 2048;
const FIRST_DESCRIPTOR_SECTOR = 16;

/**
 * ISO 9660 and UDF discs: both put their descriptors in the sectors from 16 on.
 *
 * @see ECMA-119, section 8; ECMA-167, section 2/9
 */
const disc: Detector = ({ head }) => {
  for (
    let offset = FIRST_DESCRIPTOR_SECTOR * SECTOR_BYTES;
    offset + 6 <= head.length;
    offset += SECTOR_BYTES
  ) {
    if (hasBytesAt(head, offset + 1, "CD001")) {
      return { format: "iso", strength: "strong" };
    }
    if (hasBytesAt(head, offset + 1, "NSR02") || hasBytesAt(head, offset + 1, "NSR03")) {
      return { format: "iso", strength: "strong" };
    }
    if (!hasBytesAt(head, offset + 1, "BEA01")) return undefined;
  }
  return undefined;
};

/** Detectors of optical disc images. */
export const discDetectors: readonly Detector[] = [disc];
