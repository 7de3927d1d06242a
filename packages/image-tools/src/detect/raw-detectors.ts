import { hasBytesAt, signature, type Detector } from "./detector.ts";

const PARTITION_TABLE = 446;
const PARTITION_ENTRY_BYTES = 16;

/**
 * Boot sector of a partitioned disk or of a FAT or NTFS file system. The mark 55 AA alone is weak.
 *
 * @see UEFI 2.10, section 5.2.1
 */
const bootSector: Detector = ({ head }) => {
  if (!hasBytesAt(head, 510, "\x55\xaa")) return undefined;
  const jumps = hasBytesAt(head, 0, "\xe9") || (head[0] === 0xeb && head[2] === 0x90);
  const sectorBytes = head.readUInt16LE(11);
  const isBootRecord =
    jumps && sectorBytes >= 512 && sectorBytes <= 4096 && (sectorBytes & (sectorBytes - 1)) === 0;
  let partitions = 0;
  let isTable = true;
  for (let index = 0; index < 4; index += 1) {
    const entry = PARTITION_TABLE + index * PARTITION_ENTRY_BYTES;
    if (head[entry] !== 0 && head[entry] !== 0x80) isTable = false;
    if (head[entry + 4] !== 0) partitions += 1;
  }
  const isStrong = isBootRecord || (isTable && partitions > 0);
  return { format: "raw", strength: isStrong ? "strong" : "weak" };
};

const ext: Detector = ({ head }) => {
  if (!hasBytesAt(head, 1024 + 56, "\x53\xef") || head.length < 2048) return undefined;
  const blockSizeShift = head.readUInt32LE(1024 + 24);
  const inodes = head.readUInt32LE(1024);
  return { format: "raw", strength: blockSizeShift <= 6 && inodes > 0 ? "strong" : "weak" };
};

const lvm: Detector = ({ head }) =>
  [0, 512, 1024, 1536].some((offset) => hasBytesAt(head, offset, "LABELONE"))
    ? { format: "raw", strength: "strong" }
    : undefined;

// Boot sectors of these file systems say so, with and without the mark at the sector's end.
const FILE_SYSTEM_NAMES: readonly (readonly [offset: number, name: string])[] = [
  [3, "NTFS    "],
  [3, "EXFAT   "],
  [54, "FAT12   "],
  [54, "FAT16   "],
  [82, "FAT32   "],
];

/** Detectors of raw disks: partition tables and bare file systems. */
export const rawDetectors: readonly Detector[] = [
  bootSector,
  signature("raw", 512, "EFI PART"),
  signature("raw", 4096, "EFI PART"),
  ...FILE_SYSTEM_NAMES.map(([offset, name]) => signature("raw", offset, name)),
  ext,
  lvm,
  signature("raw", 0, "XFSB"),
  signature("raw", 0, "hsqs"),
  signature("raw", 1024, "\x10\x20\xf5\xf2"),
  signature("raw", 1024, "\xe2\xe1\xf5\xe0"),
  signature("raw", 4086, "SWAPSPACE2"),
  signature("raw", 32768, "JFS1"),
  signature("raw", 65536 + 52, "ReIsEr"),
  signature("raw", 65600, "_BHRfS_M"),
];
