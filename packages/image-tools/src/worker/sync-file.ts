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
      throw new ImageError("IMAGE_IO", "cannot read the image file", { cause });
    }
    if (count === 0) {
      throw new ImageError("IMAGE_TRUNCATED", "the image file ends before its content");
    }
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
    const isFull = (cause as NodeJS.ErrnoException).code === "ENOSPC";
    const reason = isFull ? ": there is no space left" : "";
    throw new ImageError("IMAGE_IO", `cannot write the target${reason}`, { cause });
  }
}
