import { join } from "node:path";
import { ProgressMeter } from "../http/progress-meter.ts";
import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import { ImageFileWriter } from "./image-file-writer.ts";
import { IMAGE_FILE } from "./image-name.ts";
import type { DiskImageSource, ImageInfo, ImportImageOptions } from "./image-store.ts";

const ZEROS: Uint8Array = new Uint8Array(1024 * 1024);

/**
 * Copies the content of a disk into `directory` as a raw image; holes stay holes. What is on the disk is not looked at: a
 * disk may be blank, or hold anything. Its own files are left behind on failure.
 *
 * @throws ImageError `IMAGE_TOO_LARGE`, `IMAGE_SOURCE_INVALID` when the content is not as long as it said, and whatever
 * the source throws.
 */
export async function receiveDisk(
  directory: string,
  source: DiskImageSource,
  options: ImportImageOptions & { readonly limits: Required<ImageLimits> },
): Promise<ImageInfo> {
  const { limits, onProgress, signal = new AbortController().signal } = options;
  await using stream = await source.open(signal);
  const maxBytes = Math.min(limits.maxStoredBytes, limits.maxVirtualSizeBytes);
  await using writer = await ImageFileWriter.create(join(directory, IMAGE_FILE), maxBytes);
  const meter = onProgress && new ProgressMeter(stream.sizeBytes, onProgress);
  for await (const extent of stream) {
    let left = extent.type === "data" ? 0 : extent.length;
    if (extent.type === "data") await writer.write(extent.bytes);
    while (left > 0) {
      signal.throwIfAborted();
      const length = Math.min(left, ZEROS.length);
      await writer.write(ZEROS.subarray(0, length));
      left -= length;
    }
    signal.throwIfAborted();
    meter?.add(extent.type === "data" ? extent.bytes.length : extent.length);
  }
  meter?.finish();
  const { sizeBytes, sha256 } = await writer.finish();
  if (sizeBytes !== stream.sizeBytes) {
    throw new ImageError(
      "IMAGE_SOURCE_INVALID",
      `the disk has ${sizeBytes} bytes and not ${stream.sizeBytes} as it said`,
    );
  }
  return {
    format: "raw",
    cdrom: false,
    virtualSizeBytes: sizeBytes,
    storedBytes: sizeBytes,
    sha256,
  };
}
