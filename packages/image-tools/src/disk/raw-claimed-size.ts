import { hasBytesAt } from "../detect/detector.ts";
import { nodeZlib } from "../lazy-builtins.ts";

/** A size that a disk must have at least, by what is written on it. */
export interface ClaimedSize {
  readonly bytes: number;
  /** What says so, as in "its … reaches to". */
  readonly by: string;
}

/**
 * The largest size that the partition table or file system at the beginning of a raw disk claims;
 * `undefined` where there is none. A GPT counts only with a valid checksum.
 *
 * @param head - The first `HEAD_SAMPLE_BYTES`, or the whole of a smaller disk.
 */
export function rawClaimedSize(head: Buffer): ClaimedSize | undefined {
  let largest: ClaimedSize | undefined;
  for (const find of CLAIMS) {
    const claim = find(head);
    if (claim !== undefined && claim.bytes > (largest?.bytes ?? 0)) largest = claim;
  }
  return largest;
}

type FindClaim = (head: Buffer) => ClaimedSize | undefined;

const SECTOR_BYTES = 512;
const WHOLE_DISK = 0xffffffff;
const PROTECTIVE_TYPE = 0xee;

const readUInt64LE = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at);
const readUInt64BE = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);

function hasBootRecord(head: Buffer): boolean {
  return head.length >= SECTOR_BYTES && (head[0] === 0xeb || head[0] === 0xe9);
}

function isPowerOfTwoIn(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && (value & (value - 1)) === 0;
}

const partitions: FindClaim = (head) => {
  if (!hasBytesAt(head, 510, "\x55\xaa")) return undefined;
  let end = 0;
  for (let entry = 446; entry < 510; entry += 16) {
    if (head[entry] !== 0 && head[entry] !== 0x80) return undefined;
    const sectors = head.readUInt32LE(entry + 12);
    const isOpenEnded = head[entry + 4] === PROTECTIVE_TYPE && sectors === WHOLE_DISK;
    if (head[entry + 4] === 0 || isOpenEnded) continue;
    end = Math.max(end, head.readUInt32LE(entry + 8) + sectors);
  }
  return end === 0 ? undefined : { bytes: end * SECTOR_BYTES, by: "partition table" };
};

const gpt =
  (sectorBytes: number): FindClaim =>
  (head) => {
    if (!hasBytesAt(head, sectorBytes, "EFI PART")) return undefined;
    const headerBytes = head.length < sectorBytes + 92 ? 0 : head.readUInt32LE(sectorBytes + 12);
    if (headerBytes < 92 || headerBytes > sectorBytes) return undefined;
    const header = Buffer.from(head.subarray(sectorBytes, sectorBytes + headerBytes));
    if (header.length < headerBytes) return undefined;
    const checksum = header.readUInt32LE(16);
    header.writeUInt32LE(0, 16);
    if (nodeZlib().crc32(header) !== checksum) return undefined;
    return { bytes: (readUInt64LE(header, 32) + 1) * sectorBytes, by: "GUID partition table" };
  };

const fat: FindClaim = (head) => {
  if (!hasBootRecord(head) || hasBytesAt(head, 3, "NTFS    ")) return undefined;
  const sectorBytes = head.readUInt16LE(11);
  const isFat = isPowerOfTwoIn(sectorBytes, 512, 4096) && head[16] === 2 && head[21] === 0xf8;
  if (!isFat) return undefined;
  const sectors = head.readUInt16LE(19) || head.readUInt32LE(32);
  return sectors === 0 ? undefined : { bytes: sectors * sectorBytes, by: "FAT file system" };
};

const ntfs: FindClaim = (head) => {
  if (!hasBootRecord(head) || !hasBytesAt(head, 3, "NTFS    ")) return undefined;
  const sectorBytes = head.readUInt16LE(11);
  if (!isPowerOfTwoIn(sectorBytes, 512, 4096)) return undefined;
  return { bytes: readUInt64LE(head, 40) * sectorBytes, by: "NTFS file system" };
};

const EXT_SUPERBLOCK = 1024;
const EXT_INCOMPATIBLE_64BIT = 0x80;

const ext: FindClaim = (head) => {
  if (!hasBytesAt(head, EXT_SUPERBLOCK + 56, "\x53\xef") || head.length < 2048) return undefined;
  const shift = head.readUInt32LE(EXT_SUPERBLOCK + 24);
  if (shift > 6) return undefined;
  const is64Bit = (head.readUInt32LE(EXT_SUPERBLOCK + 96) & EXT_INCOMPATIBLE_64BIT) !== 0;
  const high = is64Bit ? head.readUInt32LE(EXT_SUPERBLOCK + 336) : 0;
  const blocks = high * 2 ** 32 + head.readUInt32LE(EXT_SUPERBLOCK + 4);
  return { bytes: blocks * 1024 * 2 ** shift, by: "ext file system" };
};

const xfs: FindClaim = (head) =>
  hasBytesAt(head, 0, "XFSB") && head.length >= 16
    ? { bytes: readUInt64BE(head, 8) * head.readUInt32BE(4), by: "XFS file system" }
    : undefined;

const squashfs: FindClaim = (head) =>
  hasBytesAt(head, 0, "hsqs") && head.length >= 48
    ? { bytes: readUInt64LE(head, 40), by: "squashfs file system" }
    : undefined;

const BTRFS_SUPERBLOCK = 65536;
const BTRFS_DEVICE_BYTES = BTRFS_SUPERBLOCK + 0xd1;

const btrfs: FindClaim = (head) =>
  hasBytesAt(head, BTRFS_SUPERBLOCK + 64, "_BHRfS_M") && head.length >= BTRFS_DEVICE_BYTES + 8
    ? { bytes: readUInt64LE(head, BTRFS_DEVICE_BYTES), by: "btrfs file system" }
    : undefined;

const CLAIMS: readonly FindClaim[] = [
  partitions,
  gpt(512),
  gpt(4096),
  fat,
  ntfs,
  ext,
  xfs,
  squashfs,
  btrfs,
];
