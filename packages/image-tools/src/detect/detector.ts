/** Compression around an image that can be removed. */
export type ImageWrapper = "gz" | "xz" | "zst" | "bz2";

/** The first and the last bytes of something that may be an image. */
export interface ImageSample {
  /** At least the first {@link HEAD_SAMPLE_BYTES} bytes, or all of a smaller image. */
  readonly head: Buffer;
  /** The last {@link TAIL_SAMPLE_BYTES} bytes, or all of a smaller image; empty if not known yet. */
  readonly tail: Buffer;
}

/** One detector's finding. */
export interface DetectorMatch {
  /** Name of the format, such as "qcow2", "vmdk" or "gz". */
  readonly format: string;
  /**
   * A weak match stands for very few bytes that other data may hold by chance: it counts only
   * where nothing better is found.
   */
  readonly strength: "strong" | "weak";
}

/** Looks for the signs of one format or of a family of formats. Never throws. */
export type Detector = (sample: ImageSample) => DetectorMatch | undefined;

/** How much of the beginning detection needs; the farthest sign is that of btrfs at 65600. */
export const HEAD_SAMPLE_BYTES: number = 68 * 1024;

/** How much of the end detection needs. */
export const TAIL_SAMPLE_BYTES: number = 1536;

/** Whether `bytes` has `pattern` (Latin-1) at `offset`. */
export function hasBytesAt(bytes: Buffer, offset: number, pattern: string): boolean {
  if (offset < 0 || offset + pattern.length > bytes.length) return false;
  return bytes.toString("latin1", offset, offset + pattern.length) === pattern;
}

/** A detector for a fixed signature in the head. */
export function signature(format: string, offset: number, pattern: string): Detector {
  return ({ head }) =>
    hasBytesAt(head, offset, pattern) ? { format, strength: "strong" } : undefined;
}
