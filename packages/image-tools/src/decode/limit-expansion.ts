import { ImageError } from "../image-error.ts";

const FREE_BYTES = 64 * 1024 * 1024;

/** Counts what passes, for {@link limitExpansion}. */
export interface ByteCounter {
  bytes: number;
}

/** Passes `source` on and counts its bytes. */
export async function* countBytes(
  source: AsyncIterable<Uint8Array>,
  counter: ByteCounter,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    counter.bytes += chunk.length;
    yield chunk;
  }
}

/**
 * Passes decoded bytes on until they are more than `maxRatio` times the encoded ones; less than
 * 64 MiB are not judged.
 *
 * @throws ImageError `IMAGE_TOO_LARGE`.
 */
export async function* limitExpansion(
  decoded: AsyncIterable<Uint8Array>,
  encoded: ByteCounter,
  maxRatio: number,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0;
  for await (const chunk of decoded) {
    bytes += chunk.length;
    if (bytes >= FREE_BYTES && bytes > encoded.bytes * maxRatio) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        `the file expands to more than ${maxRatio} times its compressed size`,
      );
    }
    yield chunk;
  }
}
