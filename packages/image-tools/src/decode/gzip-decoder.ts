import { createGunzip } from "node:zlib";
import { ImageError } from "../image-error.ts";
import { pipeThrough } from "./pipe-through.ts";
import type { StreamDecoder } from "./stream-decoder.ts";

const OUTPUT_CHUNK_BYTES = 1024 * 1024;

/** Decodes gzip with any number of members. @see RFC 1952 */
export const gzipDecoder: StreamDecoder = {
  wrapper: "gz",
  decode: (source) =>
    pipeThrough(source, [createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES })], translateError),
};

function translateError(cause: unknown): ImageError {
  return (cause as NodeJS.ErrnoException).code === "Z_BUF_ERROR"
    ? new ImageError("IMAGE_TRUNCATED", "the gzip file is cut short", { cause })
    : new ImageError("IMAGE_CORRUPT", "the gzip file is corrupt", { cause });
}
