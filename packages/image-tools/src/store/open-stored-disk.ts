import type { DiskFormat } from "../disk/disk-format.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { openFileReader } from "../io/random-access-reader.ts";
import type { SparseStream } from "../sparse/sparse-stream.ts";

/** How {@link openStoredDisk} opens. */
export interface OpenStoredDiskOptions {
  /** The format that the image had when it was checked; it is not looked for another one. */
  readonly format: DiskFormat;
  readonly maxVirtualSizeBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens the disk in a stored file; disposing the stream closes the file.
 *
 * @throws ImageError as `openDiskImage` does.
 */
export async function openStoredDisk(
  path: string,
  { format, maxVirtualSizeBytes, signal }: OpenStoredDiskOptions,
): Promise<SparseStream> {
  const reader = await openFileReader(path);
  try {
    const options = { expectedFormat: format, maxVirtualSizeBytes, signal };
    const image = await openDiskImage(reader, options);
    return {
      ...image.stream({ signal }),
      [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}
