import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { fileStream } from "../source/sub-reader.ts";
import { threadCount } from "../worker/thread-count.ts";
import { decodeXzBlocks } from "../xz/decode-xz-blocks.ts";
import { readXzLayout } from "../xz/xz-layout.ts";
import type { ConversionSource } from "./conversion-source.ts";
import type { ConversionSourceOptions } from "./conversion-source-options.ts";
import { digestReader } from "./digest-reader.ts";
import { streamSource } from "./stream-source.ts";

// Starting threads takes as long as decoding less.
const MIN_STORED_BYTES = 1024 * 1024;

/**
 * What an xz file holds, decoded block by block in threads. `undefined` for what only the decoder of
 * streams can decode, or decodes as quickly. The reader is left open on failure.
 *
 * @throws ImageError as `readXzLayout` and {@link streamSource} do.
 */
export async function xzFileSource(
  reader: RandomAccessReader,
  options: ConversionSourceOptions,
): Promise<ConversionSource | undefined> {
  const { fd, sizeBytes } = reader;
  if (fd === undefined || sizeBytes < MIN_STORED_BYTES) return undefined;
  const blocks = await readXzLayout(reader);
  if (blocks === undefined) return undefined;
  const { digest, signal } = options;
  const threads = threadCount(options.threads);
  const digested = digest === undefined ? undefined : digestReader(reader, digest, signal);
  const stream = { ...fileStream(reader, signal), [Symbol.asyncDispose]: async () => {} };
  const inner = await streamSource(stream, { ...options, digest: undefined }, (counter) => {
    const onStored = (bytes: number): void => {
      counter.bytes += bytes;
    };
    return decodeXzBlocks({ fd, blocks, threads, onStored });
  }).catch(async (error: unknown) => {
    await digested?.settle();
    throw error;
  });
  const disposeInner = inner[Symbol.asyncDispose].bind(inner);
  return Object.assign(inner, {
    digests: async () => digested?.digests(),
    [Symbol.asyncDispose]: async () => {
      await digested?.settle();
      await disposeInner();
      await reader[Symbol.asyncDispose]();
    },
  });
}
