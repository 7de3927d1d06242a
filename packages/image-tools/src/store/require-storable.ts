import type { DetectedImage } from "../detect/detect-image.ts";
import type { DiskFormat } from "../disk/disk-format.ts";
import { ImageError } from "../image-error.ts";

/** An image that a store keeps. */
export interface StorableImage {
  readonly format: DiskFormat;
  readonly cdrom: boolean;
}

/**
 * Refuses what a store does not keep: archives, compression inside compression, and raw disks on
 * which nothing is recognised.
 *
 * @throws ImageError `IMAGE_UNSUPPORTED` or `IMAGE_UNRECOGNISED`.
 */
export function requireStorable(detected: DetectedImage): StorableImage {
  switch (detected.kind) {
    case "archive":
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `the file is a ${detected.archive} archive; give the image in it`,
      );
    case "wrapper":
      throw new ImageError(
        "IMAGE_UNSUPPORTED",
        `the file holds ${detected.wrapper} inside another compression; compress it only once`,
      );
    case "image":
      return requireFormat(detected);
  }
}

function requireFormat(
  detected: Extract<DetectedImage, { readonly kind: "image" }>,
): StorableImage {
  const { format, cdrom, warnings } = detected;
  const [warning] = warnings;
  if (warning !== undefined) {
    throw new ImageError("IMAGE_UNRECOGNISED", `the file is not a disk image: ${warning}`);
  }
  return { format, cdrom };
}
