import { promisify } from "node:util";
import {
  createInflate,
  createInflateRaw,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  zstdDecompress,
  zstdDecompressSync,
  type InflateRaw,
  type ZlibOptions,
  type ZstdOptions,
} from "node:zlib";
import { zstdFrameLength } from "../decode/zstd-frame.ts";
import type { BlockCodec } from "./disk-segment.ts";

// Below this a thread pool job costs more than it saves.
const SYNC_BLOCK_BYTES = 8 * 1024;

const inflateAsync = promisify<Buffer, ZlibOptions, Buffer>(inflate);
const inflateRawAsync = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw);
const zstdDecompressAsync = promisify<Buffer, ZstdOptions, Buffer>(zstdDecompress);

/** What {@link decodeBlock} returns. */
export interface DecodedBlock {
  /** At most the bytes of one block. */
  readonly bytes: Buffer;
  /** Whether the compressed data went on beyond the end of the block. */
  readonly isOversize: boolean;
}

/**
 * Decodes one compressed block of an image; stray bytes behind its own are ignored, and what it
 * holds beyond `blockBytes` is left out. Throws what node:zlib throws for damaged data.
 */
export async function decodeBlock(
  codec: BlockCodec,
  compressed: Buffer,
  blockBytes: number,
): Promise<DecodedBlock> {
  try {
    return { bytes: await decodeExactly(codec, compressed, blockBytes), isOversize: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") throw error;
    if (codec === "zstd") throw error;
    const bytes = await inflateUpTo(
      codec === "zlib" ? createInflate() : createInflateRaw(),
      compressed,
      blockBytes,
    );
    return { bytes, isOversize: true };
  }
}

async function decodeExactly(
  codec: BlockCodec,
  compressed: Buffer,
  blockBytes: number,
): Promise<Buffer> {
  const options = { chunkSize: Math.max(64, blockBytes), maxOutputLength: blockBytes };
  const isSync = blockBytes <= SYNC_BLOCK_BYTES;
  switch (codec) {
    case "deflate":
      return isSync
        ? inflateRawSync(compressed, options)
        : await inflateRawAsync(compressed, options);
    case "zlib":
      return isSync ? inflateSync(compressed, options) : await inflateAsync(compressed, options);
    case "zstd":
      return decodeZstd(compressed, blockBytes, isSync);
  }
}

// One frame at a time: node:zlib may drop what follows the first frame without an error.
async function decodeZstd(
  compressed: Buffer,
  blockBytes: number,
  isSync: boolean,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let decoded = 0;
  let position = 0;
  while (decoded < blockBytes) {
    const rest = compressed.subarray(position);
    const frameLength = zstdFrameLength(rest);
    if (frameLength === undefined) break;
    const options = {
      chunkSize: Math.max(64, blockBytes),
      maxOutputLength: blockBytes - decoded,
    };
    const frame = rest.subarray(0, frameLength);
    const part = isSync
      ? zstdDecompressSync(frame, options)
      : await zstdDecompressAsync(frame, options);
    parts.push(part);
    decoded += part.length;
    position += frameLength;
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

async function inflateUpTo(
  decoder: InflateRaw,
  compressed: Buffer,
  maxBytes: number,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  decoder.end(compressed);
  for await (const chunk of decoder as AsyncIterable<Buffer>) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(parts).subarray(0, maxBytes);
}
