import { ImageError } from "../image-error.ts";
import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";

/** Options of {@link callbackReader}. */
export interface CallbackReaderOptions {
  readonly sizeBytes: number;
  /** Called once when the reader is disposed. */
  readonly close?: (() => Promise<void>) | undefined;
}

/**
 * A reader whose bytes a function gives, for example from another disk image, a block device over
 * the network or a database. The function may be called several times at once.
 *
 * @throws ImageError on reading `IMAGE_SOURCE_INVALID` when the function gives another number of
 * bytes than it was asked for, `IMAGE_TRUNCATED` outside of the size; what the function throws
 * passes unchanged.
 */
export function callbackReader(
  read: (offset: number, length: number) => Promise<Uint8Array>,
  options: CallbackReaderOptions,
): RandomAccessReader {
  const { sizeBytes } = options;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "the size of a reader must be a byte count");
  }
  let close = options.close;
  return {
    sizeBytes,
    read: async (offset, length) => {
      checkReadRange(offset, length, sizeBytes);
      const bytes = await read(offset, length);
      if (bytes.length !== length) {
        throw new ImageError(
          "IMAGE_SOURCE_INVALID",
          `the source gave ${bytes.length} instead of ${length} bytes at byte ${offset}`,
        );
      }
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    [Symbol.asyncDispose]: async () => {
      const run = close;
      close = undefined;
      await run?.();
    },
  };
}
