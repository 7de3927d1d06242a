import { hasBytesAt, signature, type Detector } from "./detector.ts";

const zstdSkippable: Detector = ({ head }) =>
  head.length >= 8 && (head[0] as number) >>> 4 === 5 && hasBytesAt(head, 1, "\x2a\x4d\x18")
    ? { format: "zst", strength: "strong" }
    : undefined;

const BZIP2_BLOCK = "1AY&SY";
const BZIP2_END = "\x17rE8P\x90";

const bzip2: Detector = ({ head }) =>
  /^BZh[1-9]$/.test(head.toString("latin1", 0, 4)) &&
  (hasBytesAt(head, 4, BZIP2_BLOCK) || hasBytesAt(head, 4, BZIP2_END))
    ? { format: "bz2", strength: "strong" }
    : undefined;

const weakSignature =
  (format: string, pattern: string): Detector =>
  ({ head }) =>
    hasBytesAt(head, 0, pattern) ? { format, strength: "weak" } : undefined;

const TAR_HEADER_BYTES = 512;
const TAR_CHECKSUM_OFFSET = 148;
const TAR_CHECKSUM_BYTES = 8;
const TAR_CHECKSUM = /^ *[0-7]{2,7}[ \0]+$/;

/** @see POSIX.1-2024, pax, "ustar Interchange Format" */
const tar: Detector = ({ head }) => {
  if (head.length < TAR_HEADER_BYTES) return undefined;
  // Archives older than the standard have no mark.
  const isMarked = hasBytesAt(head, 257, "ustar");
  const stored = head.toString("latin1", TAR_CHECKSUM_OFFSET, TAR_CHECKSUM_OFFSET + 8);
  if (!isMarked && !TAR_CHECKSUM.test(stored)) return undefined;
  let sum = TAR_CHECKSUM_BYTES * 0x20;
  for (let index = 0; index < TAR_HEADER_BYTES; index += 1) {
    const isChecksum =
      index >= TAR_CHECKSUM_OFFSET && index < TAR_CHECKSUM_OFFSET + TAR_CHECKSUM_BYTES;
    if (!isChecksum) sum += head[index] as number;
  }
  if (Number.parseInt(stored.trim(), 8) === sum) return { format: "tar", strength: "strong" };
  return isMarked ? { format: "tar", strength: "weak" } : undefined;
};

/** Detectors of compressed files and archives. */
export const wrapperDetectors: readonly Detector[] = [
  signature("gz", 0, "\x1f\x8b\x08"),
  signature("xz", 0, "\xfd7zXZ\0"),
  signature("zst", 0, "\x28\xb5\x2f\xfd"),
  zstdSkippable,
  bzip2,
  signature("lz4", 0, "\x04\x22\x4d\x18"),
  signature("zip", 0, "PK\x03\x04"),
  signature("zip", 0, "PK\x05\x06"),
  signature("7z", 0, "7z\xbc\xaf\x27\x1c"),
  tar,
  weakSignature("lzma", "\x5d\0\0"),
  weakSignature("compress", "\x1f\x9d"),
];
