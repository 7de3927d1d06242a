import { readSync, writeSync } from "node:fs";
import { ImageError } from "../image-error.ts";

/**
 * Fills `target` from byte `position` of an open file.
 *
 * @throws ImageError `IMAGE_TRUNCATED` at the end of the file, `IMAGE_IO`.
 */
export function readFileFully(fd: number, target: Uint8Array, position: number): void {
  let done = 0;
  while (done < target.length) {
    let count: number;
    try {
      count = readSync(fd, target, done, target.length - done, position + done);
    } catch (cause) {
      throw readFailure(cause);
    }
    if (count === 0) throw endedEarly();
    done += count;
  }
}

/**
 * Writes all of `bytes` to an open file from byte `position`.
 *
 * @throws ImageError `IMAGE_IO`.
 */
export function writeFileFully(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  try {
    while (done < bytes.length) {
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    }
  } catch (cause) {
    throw writeFailure(cause);
  }
}

/** Says that reading the image's file failed. */
export function readFailure(cause: unknown): ImageError {
  return new ImageError("IMAGE_IO", "cannot read the image file", { cause });
}

/** Says that the image's file is shorter than it was. */
export function endedEarly(): ImageError {
  return new ImageError("IMAGE_TRUNCATED", "the image file ends before its content");
}

/** Says that writing the target failed. */
export function writeFailure(cause: unknown): ImageError {
  const isFull = (cause as NodeJS.ErrnoException).code === "ENOSPC";
  const reason = isFull ? ": there is no space left" : "";
  return new ImageError("IMAGE_IO", `cannot write the target${reason}`, { cause });
}
