import { open, type FileHandle } from "node:fs/promises";
import { ImageError } from "../image-error.ts";
import type { ImageTarget } from "./image-target.ts";
import { writeFully } from "./write-fully.ts";

/**
 * Opens a block device that is at least `sizeBytes` large, to be overwritten from its beginning. Where
 * the size is not known beforehand, a device that is too small shows when it is full. It has no name
 * to publish later: what is written is there at once, and stays after a failure.
 *
 * @throws ImageError `IMAGE_TOO_LARGE` when the device is too small, `IMAGE_IO`.
 */
export async function openBlockDeviceTarget(
  path: string,
  sizeBytes: number | undefined,
): Promise<ImageTarget> {
  const file = await open(path, "r+").catch((cause: unknown) => {
    throw new ImageError("IMAGE_IO", `cannot open block device "${path}"`, { cause });
  });
  try {
    const isLargeEnough = sizeBytes === undefined || (await hasBytes(file, path, sizeBytes));
    if (!isLargeEnough) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        `block device "${path}" has fewer than the ${sizeBytes} bytes that the image needs`,
      );
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    fd: file.fd,
    workPath: path,
    zeroed: false,
    write: (bytes, position) => writeFully(file, bytes, position, path),
    finish: async () => {
      await file.sync().catch((cause: unknown) => {
        throw new ImageError("IMAGE_IO", `cannot store to block device "${path}"`, { cause });
      });
    },
    commit: async () => {},
    [Symbol.asyncDispose]: () => file.close(),
  };
}

// The status of a device has no size; the last byte is there exactly when it can be read.
async function hasBytes(file: FileHandle, path: string, wanted: number): Promise<boolean> {
  if (wanted === 0) return true;
  try {
    const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, wanted - 1);
    return bytesRead === 1;
  } catch (cause) {
    throw new ImageError("IMAGE_IO", `cannot read block device "${path}"`, { cause });
  }
}
