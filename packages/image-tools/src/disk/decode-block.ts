import { zstdFrameLength } from "../decode/zstd-frame.ts";
import { ImageError } from "../image-error.ts";
import { nodeZlib } from "../lazy-builtins.ts";
import type { BlockCodec, CompressedSegment } from "./disk-segment.ts";

// With room for exactly one block, node:zlib would allocate another only to find that it is done.
const SPARE_BYTES = 64;
const MAX_OVERLONG_BYTES = 64 * 1024 * 1024;

/** What {@link decodeBlock} found. */
export interface DecodedBlock {
  /** Whether the compressed data went on after the end of the block. */
  readonly overlong: boolean;
}

/**
 * Decodes the compressed block of `segment` into `target`, which is as long as the segment, on this
 * thread. Stray bytes behind the compressed data are normal.
 *
 * @throws ImageError `IMAGE_CORRUPT` when the data is damaged or shorter than the segment.
 */
export function decodeBlock(
  { codec, blockBytes, length }: CompressedSegment,
  compressed: Buffer,
  target: Buffer,
): DecodedBlock {
  const { bytes, overlong } = decode(codec, compressed, blockBytes);
  if (bytes.length < length) {
    throw new ImageError("IMAGE_CORRUPT", "the image is corrupt: a compressed block is too short");
  }
  bytes.copy(target, 0, 0, length);
  release(bytes);
  return { overlong };
}

function decode(
  codec: BlockCodec,
  compressed: Buffer,
  blockBytes: number,
): DecodedBlock & { readonly bytes: Buffer } {
  try {
    const bytes = decodeAtMost(codec, compressed, blockBytes, blockBytes);
    return { bytes, overlong: false };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw corrupt(cause);
  }
  try {
    return { bytes: decodeOverlong(codec, compressed, blockBytes), overlong: true };
  } catch (cause) {
    throw corrupt(cause);
  }
}

/**
 * Gives memory back at once that is not shared with other buffers. Blocks that wait for the garbage
 * collector make it run so often that it takes as long as half of the decoding.
 */
function release({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
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
      return nodeZlib().inflateRawSync(compressed, options);
    case "zlib":
      return nodeZlib().inflateSync(compressed, options);
    case "zstd":
      return decodeZstd(compressed, blockBytes, maxOutputLength);
  }
}

/** Decodes what is there of data that is longer than a block, and may end anywhere behind it. */
function decodeOverlong(codec: BlockCodec, compressed: Buffer, blockBytes: number): Buffer {
  const options = {
    finishFlush: nodeZlib().constants.Z_SYNC_FLUSH,
    maxOutputLength: MAX_OVERLONG_BYTES,
  };
  switch (codec) {
    case "deflate":
      return nodeZlib().inflateRawSync(compressed, options);
    case "zlib":
      return nodeZlib().inflateSync(compressed, options);
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
    const part = nodeZlib().zstdDecompressSync(rest.subarray(0, frameLength), {
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
