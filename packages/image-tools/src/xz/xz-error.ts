import { ImageError } from "../image-error.ts";

/** Says that an xz file contradicts itself; `what` names the part. */
export function xzCorrupt(what: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the xz file is corrupt: ${what}`);
}

/** Says that an xz file is not complete. */
export function xzTruncated(): ImageError {
  return new ImageError(
    "IMAGE_TRUNCATED",
    "the xz file is cut short or has stray bytes at its end: it does not end with an index",
  );
}

/** Most memory that decoding may take for what was decoded before; `xz -9` needs two thirds of it. */
export const XZ_MEMORY_LIMIT_BYTES: number = 96 * 1024 * 1024;

/** Says that decoding would take too much memory. */
export function xzTooLarge(cause?: unknown): ImageError {
  return new ImageError(
    "IMAGE_TOO_LARGE",
    `the xz file needs more than ${XZ_MEMORY_LIMIT_BYTES} bytes of memory to decode`,
    { cause },
  );
}
