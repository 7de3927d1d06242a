import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "../image-error.ts";
import { openFileReader, type RandomAccessReader } from "../io/random-access-reader.ts";
import { writeFully } from "../write/write-fully.ts";

/** Options of {@link spoolToFile}. */
export interface SpoolOptions {
  readonly directory: string;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keeps a stream in a file without a name until the reader that it returns is disposed: it cannot
 * be left behind.
 *
 * @throws ImageError `IMAGE_TOO_LARGE`, `IMAGE_IO`, and as reading the stream does.
 */
export async function spoolToFile(
  stream: AsyncIterable<Uint8Array>,
  { directory, maxBytes, signal }: SpoolOptions,
): Promise<RandomAccessReader> {
  const path = join(directory, `.spool-${randomBytes(8).toString("hex")}`);
  const file = await open(path, "wx", 0o600).catch((cause: unknown) => {
    throw new ImageError("IMAGE_IO", `cannot create a file in "${directory}"`, { cause });
  });
  try {
    let position = 0;
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      if (position + chunk.length > maxBytes) {
        throw new ImageError("IMAGE_TOO_LARGE", `the image exceeds ${maxBytes} bytes`);
      }
      await writeFully(file, chunk, position, path);
      position += chunk.length;
    }
    return await openFileReader(path);
  } finally {
    await rm(path, { force: true });
    await file.close();
  }
}
