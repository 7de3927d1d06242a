import { ImageError } from "../image-error.ts";

/** Name of the image file in an image's directory. */
export const IMAGE_FILE = "image";

const MAX_NAME_LENGTH = 200;
const NAME = /^[a-z0-9](?:[-a-z0-9._]*[a-z0-9])?$/;

/** Whether `name` may be the name of an image; such a name is also a safe file name. */
export function isImageName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && NAME.test(name);
}

/** @throws ImageError `IMAGE_INVALID_ARGUMENT` unless {@link isImageName}. */
export function checkImageName(name: string): void {
  if (isImageName(name)) return;
  throw new ImageError(
    "IMAGE_INVALID_ARGUMENT",
    `${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))} is not an image name: use 1 to 200 of a-z, 0-9, ".", "_" and "-", beginning and ending with a letter or digit`,
  );
}
