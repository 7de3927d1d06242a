import { detectImage, findFormats } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import { openFileReader, type RandomAccessReader } from "../io/random-access-reader.ts";
import { openQcow2, type Qcow2Image } from "../qcow2/open-qcow2.ts";
import { requireStorable, type StorableImage } from "./require-storable.ts";

// Formats that programs are known to probe for in a raw disk, and that can refer to other files.
const NESTED_FORMATS = new Set(["qcow2", "qcow", "vmdk", "vdi", "vhd", "vhdx", "qed", "parallels"]);

/** What the complete check of an image file found. */
export interface CheckedImageFile {
  readonly detected: StorableImage;
  readonly virtualSizeBytes: number;
}

/**
 * Recognises a stored file by its beginning and end and checks its structure and limits.
 *
 * @throws ImageError as `detectImage` and `openQcow2` do; `IMAGE_UNSAFE` also when the disk inside
 * a qcow2 image begins like another image.
 */
export async function checkImageFile(
  path: string,
  limits: Required<ImageLimits>,
  signal: AbortSignal | undefined,
): Promise<CheckedImageFile> {
  await using reader = await openFileReader(path);
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  const tailBytes = Math.min(reader.sizeBytes, TAIL_SAMPLE_BYTES);
  const tail = await reader.read(reader.sizeBytes - tailBytes, tailBytes);
  const detected = requireStorable(detectImage(head, tail));
  if (detected.format === "qcow2") {
    const { maxVirtualSizeBytes } = limits;
    const image = await openQcow2(withoutDispose(reader), { maxVirtualSizeBytes, signal });
    await refuseNested(image);
    return { detected, virtualSizeBytes: image.virtualSizeBytes };
  }
  if (reader.sizeBytes > limits.maxVirtualSizeBytes) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `the disk has ${reader.sizeBytes} bytes, more than ${limits.maxVirtualSizeBytes}`,
    );
  }
  return { detected, virtualSizeBytes: reader.sizeBytes };
}

async function refuseNested(image: Qcow2Image): Promise<void> {
  const length = Math.min(image.virtualSizeBytes, HEAD_SAMPLE_BYTES);
  const head = Buffer.alloc(length);
  let position = 0;
  for await (const extent of image.stream(length)) {
    if (extent.type === "data") {
      head.set(extent.bytes, position);
      position += extent.bytes.length;
    } else {
      position += extent.length;
    }
  }
  const nested = findFormats({ head, tail: Buffer.alloc(0) }).find((format) =>
    NESTED_FORMATS.has(format),
  );
  if (nested === undefined) return;
  throw new ImageError(
    "IMAGE_UNSAFE",
    `the disk inside the qcow2 image begins like a ${nested} image, which could deceive its reader`,
  );
}

function withoutDispose(reader: RandomAccessReader): RandomAccessReader {
  return { ...reader, [Symbol.asyncDispose]: async () => {} };
}
