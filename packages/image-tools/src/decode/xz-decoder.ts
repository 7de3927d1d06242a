import { PassThrough, type Duplex } from "node:stream";
import type { LzmaOptions } from "lzma-native";
import { ImageError } from "../image-error.ts";
import { XZ_MEMORY_LIMIT_BYTES, xzTooLarge } from "../xz/xz-error.ts";
import { pipeThrough } from "./pipe-through.ts";
import type { StreamDecoder } from "./stream-decoder.ts";

const OUTPUT_CHUNK_BYTES = 256 * 1024;
// The decoder gives out all that one input chunk holds at once, up to 7000 times its size.
const INPUT_CHUNK_BYTES = 8 * 1024;
const TELL_UNSUPPORTED_CHECK = 2;
const STREAM_FOOTER_FIRST_BYTE = 0x59;

/** Decodes xz with any number of streams, with at most 96 MiB of memory. */
export const xzDecoder: StreamDecoder = {
  wrapper: "xz",
  async *decode(source) {
    // The decoder announces its end before its error, so its output must not be read directly.
    const output = new PassThrough({ highWaterMark: OUTPUT_CHUNK_BYTES });
    const transforms = [await createDecoder(), output] as const;
    yield* pipeThrough(toInputChunks(source), transforms, translateError);
  },
};

async function createDecoder(): Promise<Duplex> {
  const lzma = await import("lzma-native").catch((cause: unknown) => {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      "xz images cannot be read on this platform: lzma-native has no binary for it",
      { cause },
    );
  });
  const options = {
    memlimit: XZ_MEMORY_LIMIT_BYTES,
    flags: TELL_UNSUPPORTED_CHECK,
    writableHighWaterMark: INPUT_CHUNK_BYTES,
  };
  // The type declarations leave out liblzma's numbers for flags and the options of the stream.
  return lzma.createStream("streamDecoder", options as unknown as LzmaOptions);
}

/**
 * Cuts the input into small chunks. The decoder finds the end of an xz stream by its last two
 * bytes, "YZ", in one chunk: a chunk that ends with "Y" passes that byte on to the next one.
 */
async function* toInputChunks(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let hasHeldByte = false;
  for await (const block of source) {
    for (let start = 0; start < block.length; start += INPUT_CHUNK_BYTES) {
      const chunk = block.subarray(start, start + INPUT_CHUNK_BYTES);
      const endsOpen = chunk.at(-1) === STREAM_FOOTER_FIRST_BYTE;
      const body = endsOpen ? chunk.subarray(0, -1) : chunk;
      if (hasHeldByte) yield Buffer.concat([Uint8Array.of(STREAM_FOOTER_FIRST_BYTE), body]);
      else if (body.length > 0) yield body;
      hasHeldByte = endsOpen;
    }
  }
  if (hasHeldByte) yield Uint8Array.of(STREAM_FOOTER_FIRST_BYTE);
}

function translateError(cause: unknown): ImageError {
  switch ((cause as Error).name) {
    case "LZMA_MEMLIMIT_ERROR":
      return xzTooLarge(cause);
    case "LZMA_BUF_ERROR":
      return new ImageError(
        "IMAGE_TRUNCATED",
        "the xz file is cut short or has stray bytes at its end",
        { cause },
      );
    case "LZMA_UNSUPPORTED_CHECK":
    case "LZMA_OPTIONS_ERROR":
      return new ImageError("IMAGE_UNSUPPORTED", "the xz file uses unknown features", { cause });
    default:
      return new ImageError("IMAGE_CORRUPT", "the xz file is corrupt", { cause });
  }
}
