import { ImageError } from "../image-error.ts";

/** @throws ImageError `IMAGE_INVALID_ARGUMENT` when the range does not lie inside the disk. */
export function requireReadRange(offset: number, length: number, sizeBytes: number): void {
  const isInside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= sizeBytes;
  if (isInside) return;
  throw new ImageError(
    "IMAGE_INVALID_ARGUMENT",
    `cannot read ${length} bytes at byte ${offset} of a disk of ${sizeBytes} bytes`,
  );
}
