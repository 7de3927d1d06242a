import { open } from "node:fs/promises";
import { ImageError } from "../image-error.ts";

/** Reads any part of something whose size is known and does not change. */
export interface RandomAccessReader extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Number of the local file that is read from its beginning, for threads of this process. */
  readonly fd?: number;
  /**
   * Reads exactly `length` bytes from byte `offset`.
   *
   * @throws ImageError `IMAGE_TRUNCATED` when the range does not lie inside, `IMAGE_IO` when
   * reading fails.
   */
  read(offset: number, length: number): Promise<Buffer>;
}

/** A reader over bytes in memory. */
export function memoryReader(bytes: Uint8Array): RandomAccessReader {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sizeBytes: buffer.length,
    read: async (offset, length) => {
      checkReadRange(offset, length, buffer.length);
      return buffer.subarray(offset, offset + length);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * Opens the regular file at `path` for reading.
 *
 * @throws ImageError `IMAGE_IO` when it cannot be opened or is not a regular file.
 */
export async function openFileReader(path: string): Promise<RandomAccessReader> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new ImageError("IMAGE_IO", `cannot open image file "${path}"`, { cause });
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new ImageError("IMAGE_IO", `"${path}" is not a regular file`);
    const sizeBytes = status.size;
    return {
      sizeBytes,
      fd: file.fd,
      read: async (offset, length) => {
        checkReadRange(offset, length, sizeBytes);
        const buffer = Buffer.allocUnsafeSlow(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await file
            .read(buffer, done, length - done, offset + done)
            .catch((cause: unknown) => {
              throw new ImageError("IMAGE_IO", `cannot read image file "${path}"`, { cause });
            });
          if (bytesRead === 0) {
            throw new ImageError("IMAGE_TRUNCATED", `image file "${path}" shrank while being read`);
          }
          done += bytesRead;
        }
        return buffer;
      },
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Refuses a range that does not lie inside `sizeBytes`.
 *
 * @throws ImageError `IMAGE_TRUNCATED`.
 */
export function checkReadRange(offset: number, length: number, sizeBytes: number): void {
  if (offset < 0 || length < 0 || offset + length > sizeBytes) {
    throw new ImageError(
      "IMAGE_TRUNCATED",
      `bytes ${offset} to ${offset + length} lie outside the image of ${sizeBytes} bytes`,
    );
  }
}
