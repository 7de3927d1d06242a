import { detectImage } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { borrowReader } from "../disk/borrow-reader.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import type { ImageLimits } from "../image-limits.ts";
import { openFileReader } from "../io/random-access-reader.ts";
import { requireStorable, type StorableImage } from "./require-storable.ts";

/** What the complete check of an image file found. */
export interface CheckedImageFile {
  readonly detected: StorableImage;
  readonly virtualSizeBytes: number;
}

/**
 * Recognises a stored file by its beginning and end and checks its structure and limits.
 *
 * @throws ImageError as `requireStorable` and `openDiskImage` do.
 */
export async function checkImageFile(
  path: string,
  limits: Required<ImageLimits>,
  signal: AbortSignal | undefined,
): Promise<CheckedImageFile> {
  await using reader = await openFileReader(path);
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  const tailBytes = Math.min(reader.sizeBytes, TAIL_SAMPLE_BYTES);
  const tail = await reader.read(reader.sizeBytes - tailBytes, tailBytes);
  const detected = requireStorable(detectImage(head, tail));
  const { maxVirtualSizeBytes } = limits;
  await using image = await openDiskImage(borrowReader(reader), {
    expectedFormat: detected.format,
    maxVirtualSizeBytes,
    signal,
  });
  return { detected, virtualSizeBytes: image.virtualSizeBytes };
}
