import type { FileHandle } from "node:fs/promises";
import { ImageError } from "../image-error.ts";

/**
 * Writes all of `bytes` at `position`, in as many steps as it takes.
 *
 * @throws ImageError `IMAGE_IO`, which names `path`.
 */
export async function writeFully(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  let done = 0;
  try {
    while (done < bytes.length) {
      const step = await file.write(bytes, done, bytes.length - done, position + done);
      done += step.bytesWritten;
    }
  } catch (cause) {
    const isFull = (cause as NodeJS.ErrnoException).code === "ENOSPC";
    const reason = isFull ? ": there is no space left" : "";
    throw new ImageError("IMAGE_IO", `cannot write "${path}"${reason}`, { cause });
  }
}
