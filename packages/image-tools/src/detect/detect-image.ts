import { DISK_FORMATS, type DiskFormat } from "../disk/disk-format.ts";
import { ImageError } from "../image-error.ts";
import { containerDetectors } from "./container-detectors.ts";
import { describeContent, isAllZero } from "./describe-content.ts";
import {
  TAIL_SAMPLE_BYTES,
  type Detector,
  type ImageSample,
  type ImageWrapper,
} from "./detector.ts";
import { discDetectors } from "./disc-detectors.ts";
import { rawDetectors } from "./raw-detectors.ts";
import { wrapperDetectors } from "./wrapper-detectors.ts";

const DETECTORS: readonly Detector[] = [
  ...containerDetectors,
  ...wrapperDetectors,
  ...discDetectors,
  ...rawDetectors,
];

// [what it is, what may also be seen in it]: hybrid discs carry a partition table, a fixed VHD is a
// raw disk with a footer.
const HARMLESS_PAIRS: readonly (readonly [string, string])[] = [
  ["iso", "raw"],
  ["vhd", "raw"],
];

const COMPRESSED = new Set(["gz", "xz", "zst", "bz2", "lz4", "zip", "7z", "lzma", "compress"]);

/** What {@link detectImage} found: an image, or something around what is still unknown. */
export type DetectedImage =
  | {
      readonly kind: "image";
      readonly format: DiskFormat;
      readonly cdrom: boolean;
      /** Why a raw disk is only presumed to be one. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: "wrapper"; readonly wrapper: ImageWrapper }
  | { readonly kind: "archive"; readonly archive: "tar" };

// No disk is smaller than a sector, and no disc than the sectors before its descriptors.
const MIN_DISK_BYTES = 512;
const MIN_ZERO_DISK_BYTES = 34 * 1024;

/**
 * Recognises an image by its first bytes and, once they are known, its last ones. Every detector
 * runs, so that a file that is valid in two formats is refused. File names and content types are
 * not looked at. ISO 9660 and UDF discs are `format: "iso"` with `cdrom: true`. Zeros and unknown
 * binary data are a raw disk with a warning.
 *
 * @param head - The first `HEAD_SAMPLE_BYTES` bytes at least, or the whole of a smaller file.
 * @param tail - The last `TAIL_SAMPLE_BYTES` bytes; without it, formats that are marked only at
 * the end go unnoticed.
 * @throws ImageError `IMAGE_UNRECOGNISED` for what is no image (text, HTML, less than a sector),
 * `IMAGE_UNSUPPORTED` for known formats that cannot be read, `IMAGE_UNSAFE` for several at once
 * and for encrypted disks.
 */
export function detectImage(head: Uint8Array, tail?: Uint8Array): DetectedImage {
  const sample = toSample(head, tail);
  const formats = findFormats(sample);
  if (formats.length > 1) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      `the file is a valid beginning of several formats at once (${formats.join(", ")})`,
    );
  }
  const [format] = formats;
  if (format === undefined) return presumeRaw(sample.head);
  if (isDiskFormat(format)) {
    return { kind: "image", format, cdrom: format === "iso", warnings: [] };
  }
  switch (format) {
    case "gz":
    case "xz":
    case "zst":
    case "bz2":
      return { kind: "wrapper", wrapper: format };
    case "tar":
      return { kind: "archive", archive: "tar" };
    case "luks":
      throw new ImageError("IMAGE_UNSAFE", "the disk is encrypted with LUKS; decrypt it first");
    default:
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `images of format ${format} are not supported; convert it to qcow2 or raw`,
      );
  }
}

function isDiskFormat(format: string): format is DiskFormat {
  return (DISK_FORMATS as readonly string[]).includes(format);
}

function presumeRaw(head: Buffer): DetectedImage {
  const { description, isBinary } = describeContent(head);
  const isTooSmall =
    head.length < MIN_DISK_BYTES || (isAllZero(head) && head.length < MIN_ZERO_DISK_BYTES);
  if (!isBinary || isTooSmall) {
    throw new ImageError(
      "IMAGE_UNRECOGNISED",
      `the file is not a disk image: it is ${description} of ${head.length} bytes or more`,
    );
  }
  const warning = `no partition table or file system was found: the disk begins with ${description}`;
  return { kind: "image", format: "raw", cdrom: false, warnings: [warning] };
}

/**
 * Names of all formats that the bytes are a valid beginning of, where harmless pairs count as
 * one. Usually one name, none for unknown data.
 */
export function findFormats(sample: ImageSample): readonly string[] {
  const { strong, weak } = matchFormats(sample);
  if (strong.size === 0) return [...weak].slice(0, 1);
  // Compressed bytes hold any two bytes by chance, the sparse head of a disk format does not.
  const isCompressed = [...strong].some((format) => COMPRESSED.has(format));
  if (weak.has("raw") && !isCompressed) strong.add("raw");
  for (const [outer, inner] of HARMLESS_PAIRS) if (strong.has(outer)) strong.delete(inner);
  return [...strong];
}

/** As {@link findFormats}, without what very few bytes suggest and without harmless pairs. */
export function findStrongFormats(sample: ImageSample): readonly string[] {
  return [...matchFormats(sample).strong];
}

function matchFormats(sample: ImageSample): { strong: Set<string>; weak: Set<string> } {
  const strong = new Set<string>();
  const weak = new Set<string>();
  for (const detector of DETECTORS) {
    const match = detector(sample);
    if (match !== undefined) (match.strength === "strong" ? strong : weak).add(match.format);
  }
  return { strong, weak };
}

function toSample(head: Uint8Array, tail: Uint8Array = new Uint8Array()): ImageSample {
  const lastBytes = tail.subarray(Math.max(0, tail.length - TAIL_SAMPLE_BYTES));
  return {
    head: Buffer.from(head.buffer, head.byteOffset, head.byteLength),
    tail: Buffer.from(lastBytes.buffer, lastBytes.byteOffset, lastBytes.byteLength),
  };
}
