import { constants, inflateRawSync, inflateSync, zstdDecompressSync } from "node:zlib";
import type { BlockCodec } from "../disk/disk-segment.ts";
import { ImageError } from "../image-error.ts";
import { zstdFrameLength } from "../decode/zstd-frame.ts";

// With room for exactly one block, node:zlib would allocate another only to find that it is done.
const SPARE_BYTES = 64;
const MAX_OVERLONG_BYTES = 64 * 1024 * 1024;

/** A decoded block. */
export interface DecodedBlock {
  readonly bytes: Buffer;
  /** Whether the compressed data went on after the end of the block. */
  readonly overlong: boolean;
}

/**
 * Decodes one compressed block, on this thread. Stray bytes behind the compressed data are normal.
 *
 * @throws ImageError `IMAGE_CORRUPT` when the data is damaged or shorter than `length`.
 */
export function decodeBlock(
  codec: BlockCodec,
  compressed: Buffer,
  blockBytes: number,
  length: number,
): DecodedBlock {
  const decoded = decode(codec, compressed, blockBytes);
  if (decoded.bytes.length >= length) return decoded;
  throw new ImageError("IMAGE_CORRUPT", "the image is corrupt: a compressed block is too short");
}

function decode(codec: BlockCodec, compressed: Buffer, blockBytes: number): DecodedBlock {
  try {
    const bytes = decodeAtMost(codec, compressed, blockBytes, blockBytes);
    return { bytes, overlong: false };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw corrupt(cause);
  }
  try {
    const bytes = decodeOverlong(codec, compressed, blockBytes);
    return { bytes: bytes.subarray(0, blockBytes), overlong: true };
  } catch (cause) {
    throw corrupt(cause);
  }
}

function decodeAtMost(
  codec: BlockCodec,
  compressed: Buffer,
  blockBytes: number,
  maxOutputLength: number,
): Buffer {
  const options = { chunkSize: blockBytes + SPARE_BYTES, maxOutputLength };
  switch (codec) {
    case "deflate":
      return inflateRawSync(compressed, options);
    case "zlib":
      return inflateSync(compressed, options);
    case "zstd":
      return decodeZstd(compressed, blockBytes, maxOutputLength);
  }
}

/** Decodes what is there of data that is longer than a block, and may end anywhere behind it. */
function decodeOverlong(codec: BlockCodec, compressed: Buffer, blockBytes: number): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_OVERLONG_BYTES };
  switch (codec) {
    case "deflate":
      return inflateRawSync(compressed, options);
    case "zlib":
      return inflateSync(compressed, options);
    case "zstd":
      return decodeAtMost(codec, compressed, blockBytes, MAX_OVERLONG_BYTES);
  }
}

// One frame at a time: node:zlib may drop what follows the first frame without an error.
function decodeZstd(compressed: Buffer, blockBytes: number, maxBytes: number): Buffer {
  const parts: Buffer[] = [];
  let decoded = 0;
  let position = 0;
  while (decoded < blockBytes) {
    const rest = compressed.subarray(position);
    const frameLength = zstdFrameLength(rest);
    if (frameLength === undefined) break;
    const part = zstdDecompressSync(rest.subarray(0, frameLength), {
      chunkSize: blockBytes + SPARE_BYTES,
      maxOutputLength: maxBytes - decoded,
    });
    parts.push(part);
    decoded += part.length;
    position += frameLength;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

function corrupt(cause: unknown): ImageError {
  return new ImageError(
    "IMAGE_CORRUPT",
    "the image is corrupt: a compressed block cannot be decoded",
    { cause },
  );
}
