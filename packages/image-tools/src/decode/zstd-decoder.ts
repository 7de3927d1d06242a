import { constants, createZstdDecompress } from "node:zlib";
import { ImageError } from "../image-error.ts";
import { ByteQueue } from "./byte-queue.ts";
import { pipeThrough } from "./pipe-through.ts";
import type { StreamDecoder } from "./stream-decoder.ts";

const OUTPUT_CHUNK_BYTES = 1024 * 1024;
const INPUT_CHUNK_BYTES = 128 * 1024;
// 128 MiB, the largest window that decoders must not need a special permission for.
const MAX_WINDOW_LOG = 27;
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_TYPE_REPEATED = 1;
const BLOCK_TYPE_RESERVED = 3;
const CHECKSUM_BYTES = 4;

/**
 * Decodes zstd with any number of frames, skippable ones included. The frames are found here and
 * each is given to a decoder of its own, as the one of node:zlib stops at the end of a frame.
 *
 * @see RFC 8878, section 3.1
 */
export const zstdDecoder: StreamDecoder = {
  wrapper: "zst",
  async *decode(source) {
    const input = new ByteQueue(source);
    try {
      let frames = 0;
      for (;;) {
        const magic = await input.take(4);
        if (magic.length === 0) break;
        if (magic.length < 4) throw frames === 0 ? truncated() : corrupt("stray bytes at its end");
        if ((magic.readUInt32LE(0) & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
          await skipFrame(input);
        } else if (magic.readUInt32LE(0) === FRAME_MAGIC) {
          yield* decodeFrame(input, magic);
        } else {
          throw corrupt("there is something else between its frames");
        }
        frames += 1;
      }
      if (frames === 0) throw truncated();
    } finally {
      await input.close();
    }
  },
};

async function skipFrame(input: ByteQueue): Promise<void> {
  let left = (await takeAll(input, 4)).readUInt32LE(0);
  while (left > 0) {
    const bytes = await input.takeSome(Math.min(left, INPUT_CHUNK_BYTES));
    if (bytes.length === 0) throw truncated();
    left -= bytes.length;
  }
}

async function* decodeFrame(
  input: ByteQueue,
  magic: Buffer,
): AsyncGenerator<Uint8Array, void, void> {
  const decoder = createZstdDecompress({
    chunkSize: OUTPUT_CHUNK_BYTES,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
  });
  yield* pipeThrough(frameBytes(input, magic), [decoder], translateError);
}

async function* frameBytes(
  input: ByteQueue,
  magic: Buffer,
): AsyncGenerator<Uint8Array, void, void> {
  const descriptor = (await takeAll(input, 1))[0] as number;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const rest = await takeAll(input, Number(!isSingleSegment) + dictionaryBytes + sizeBytes);
  yield Buffer.concat([magic, Buffer.of(descriptor), rest]);
  for (;;) {
    const header = await takeAll(input, BLOCK_HEADER_BYTES);
    const value = header.readUIntLE(0, 3);
    const type = (value >>> 1) & 3;
    if (type === BLOCK_TYPE_RESERVED) throw corrupt("a block is of an unknown type");
    const body = await takeAll(input, type === BLOCK_TYPE_REPEATED ? 1 : value >>> 3);
    yield Buffer.concat([header, body]);
    if ((value & 1) === 1) break;
  }
  if ((descriptor & 4) !== 0) yield await takeAll(input, CHECKSUM_BYTES);
}

async function takeAll(input: ByteQueue, length: number): Promise<Buffer> {
  const bytes = await input.take(length);
  if (bytes.length < length) throw truncated();
  return bytes;
}

function translateError(cause: unknown): ImageError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "ZSTD_error_frameParameter_windowTooLarge") {
    return new ImageError(
      "IMAGE_TOO_LARGE",
      `the zstd file needs a window of more than ${2 ** MAX_WINDOW_LOG} bytes to decode`,
      { cause },
    );
  }
  return code === "Z_BUF_ERROR" ? truncated(cause) : corrupt(message, cause);
}

function truncated(cause?: unknown): ImageError {
  return new ImageError("IMAGE_TRUNCATED", "the zstd file is cut short", { cause });
}

function corrupt(reason: string, cause?: unknown): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the zstd file is corrupt: ${reason}`, { cause });
}
