import { ImageError } from "../image-error.ts";
import { containerDetectors } from "./container-detectors.ts";
import { describeContent } from "./describe-content.ts";
import {
  TAIL_SAMPLE_BYTES,
  type Detector,
  type ImageFormat,
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

/** What {@link detectImage} found: an image, or compression around something still unknown. */
export type DetectedImage =
  | { readonly kind: "image"; readonly format: ImageFormat; readonly cdrom: boolean }
  | { readonly kind: "wrapper"; readonly wrapper: ImageWrapper };

/**
 * Recognises an image by its first bytes and, once they are known, its last ones. Every detector
 * runs, so that a file that is valid in two formats is refused. File names and content types are
 * not looked at. ISO 9660 and UDF discs are `format: "iso"` with `cdrom: true`.
 *
 * @param head - The first `HEAD_SAMPLE_BYTES` bytes at least, or the whole of a smaller file.
 * @param tail - The last `TAIL_SAMPLE_BYTES` bytes; without it, formats that are marked only at
 * the end go unnoticed.
 * @throws ImageError `IMAGE_UNRECOGNISED` for what is no image (text, HTML, zeros, unknown data),
 * `IMAGE_UNSUPPORTED` for known formats that cannot be read, `IMAGE_UNSAFE` for several at once.
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
  switch (format) {
    case undefined:
      throw new ImageError(
        "IMAGE_UNRECOGNISED",
        `this is not a disk image but ${describeContent(sample.head)}`,
      );
    case "qcow2":
    case "raw":
      return { kind: "image", format, cdrom: false };
    case "iso":
      return { kind: "image", format, cdrom: true };
    case "gz":
    case "xz":
      return { kind: "wrapper", wrapper: format };
    default:
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `images of format ${format} are not supported; convert it to qcow2 or raw`,
      );
  }
}

/**
 * Names of all formats that the bytes are a valid beginning of, where harmless pairs count as
 * one. Usually one name, none for unknown data.
 */
export function findFormats(sample: ImageSample): readonly string[] {
  const matches = DETECTORS.flatMap((detector) => detector(sample) ?? []);
  const strong = new Set<string>();
  const weak = new Set<string>();
  for (const match of matches) (match.strength === "strong" ? strong : weak).add(match.format);
  if (strong.size === 0) return [...weak].slice(0, 1);
  // Compressed bytes hold any two bytes by chance, the sparse head of a disk format does not.
  const isCompressed = [...strong].some((format) => COMPRESSED.has(format));
  if (weak.has("raw") && !isCompressed) strong.add("raw");
  for (const [outer, inner] of HARMLESS_PAIRS) if (strong.has(outer)) strong.delete(inner);
  return [...strong];
}

function toSample(head: Uint8Array, tail: Uint8Array = new Uint8Array()): ImageSample {
  const lastBytes = tail.subarray(Math.max(0, tail.length - TAIL_SAMPLE_BYTES));
  return {
    head: Buffer.from(head.buffer, head.byteOffset, head.byteLength),
    tail: Buffer.from(lastBytes.buffer, lastBytes.byteOffset, lastBytes.byteLength),
  };
}
