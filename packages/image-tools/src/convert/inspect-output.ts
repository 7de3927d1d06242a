import { findFormats } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { ImageError } from "../image-error.ts";
import { openFileReader } from "../io/random-access-reader.ts";
import { readFileFully } from "../worker/sync-file.ts";
import type { ImageTarget } from "../write/image-target.ts";

// Formats that programs probe for in what should be a raw disk.
const NESTED_FORMATS = new Set(["qcow2", "qcow", "vmdk", "vdi", "vhd", "vhdx", "qed", "parallels"]);

/** What {@link inspectOutput} looks at. */
export interface InspectOutputInput {
  readonly target: ImageTarget;
  readonly format: "raw" | "qcow2" | "vmdk";
  readonly virtualSizeBytes: number;
  readonly maxVirtualSizeBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Looks at a written image as its next reader would, before it is published.
 *
 * @throws ImageError `IMAGE_UNSAFE` when the disk itself begins or ends like an image, and a program
 * that guesses its format would be deceived; `IMAGE_CORRUPT` when it is not what was to be written.
 */
export async function inspectOutput(input: InspectOutputInput): Promise<void> {
  const { format, virtualSizeBytes, maxVirtualSizeBytes, signal } = input;
  if (format === "raw") {
    const head = Buffer.alloc(Math.min(virtualSizeBytes, HEAD_SAMPLE_BYTES));
    const tail = Buffer.alloc(Math.min(virtualSizeBytes, TAIL_SAMPLE_BYTES));
    readFileFully(input.target.fd, head, 0);
    readFileFully(input.target.fd, tail, virtualSizeBytes - tail.length);
    const nested = findFormats({ head, tail }).find((found) => NESTED_FORMATS.has(found));
    if (nested === undefined) return;
    throw new ImageError(
      "IMAGE_UNSAFE",
      `the disk itself looks like a ${nested} image, which would deceive a program that guesses its format`,
    );
  }
  const reader = await openFileReader(input.target.workPath);
  try {
    await using image = await openDiskImage(reader, {
      expectedFormat: format,
      maxVirtualSizeBytes,
      signal,
    });
    if (image.virtualSizeBytes === virtualSizeBytes) return;
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
  throw new ImageError("IMAGE_CORRUPT", `the ${format} image that was written has another size`);
}
