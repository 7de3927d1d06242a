import { join } from "node:path";
import { countBytes, limitExpansion, type ByteCounter } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { detectImage } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES } from "../detect/detector.ts";
import type { ImageLimits } from "../image-limits.ts";
import { peekStream, type PeekedStream } from "../io/peek-stream.ts";
import { parseQcow2Header } from "../qcow2/qcow2-header.ts";
import { checkImageFile } from "./check-image-file.ts";
import { ImageFileWriter } from "./image-file-writer.ts";
import { IMAGE_FILE } from "./image-name.ts";
import type {
  DiskImageSource,
  ImageInfo,
  ImportImageOptions,
  StoredImageSource,
} from "./image-store.ts";
import { openContent } from "./open-content.ts";
import { requireStorable } from "./require-storable.ts";

/** How {@link receiveImage} behaves. */
export interface ReceiveImageOptions extends ImportImageOptions {
  readonly limits: Required<ImageLimits>;
  readonly stallTimeoutMs: number | undefined;
}

/**
 * Takes the file of an image into `directory`, removes its wrapper on the way, and recognises and checks
 * it. Its own files are left behind on failure.
 */
export async function receiveImage(
  directory: string,
  source: Exclude<StoredImageSource, DiskImageSource>,
  options: ReceiveImageOptions,
): Promise<ImageInfo> {
  const { limits, signal } = options;
  await using file = await openContent(source, options);
  const served: ByteCounter = { bytes: 0 };
  await using content = await unwrap(countBytes(file, served), served, limits);
  refuseEarly(content.head, limits);

  const path = join(directory, IMAGE_FILE);
  await using writer = await ImageFileWriter.create(path, limits.maxStoredBytes);
  for await (const chunk of content.stream) {
    signal?.throwIfAborted();
    await writer.write(chunk);
  }
  const { sizeBytes, sha256 } = await writer.finish();
  const { detected, virtualSizeBytes } = await checkImageFile(path, limits, signal);
  return {
    format: detected.format,
    cdrom: detected.cdrom,
    virtualSizeBytes,
    storedBytes: sizeBytes,
    sha256,
  };
}

async function unwrap(
  source: AsyncIterable<Uint8Array>,
  served: ByteCounter,
  limits: Required<ImageLimits>,
): Promise<PeekedStream> {
  const outer = await peekStream(source, HEAD_SAMPLE_BYTES);
  try {
    const detected = detectImage(outer.head);
    if (detected.kind !== "wrapper") return outer;
    const decoded = streamDecoder(detected.wrapper).decode(outer.stream);
    const limited = limitExpansion(decoded, served, limits.maxDecompressionRatio);
    const inner = await peekStream(limited, HEAD_SAMPLE_BYTES);
    return { ...inner, [Symbol.asyncDispose]: () => disposeAll(inner, outer) };
  } catch (error) {
    await outer[Symbol.asyncDispose]();
    throw error;
  }
}

async function disposeAll(...resources: readonly AsyncDisposable[]): Promise<void> {
  for (const resource of resources) await resource[Symbol.asyncDispose]();
}

/** Refuses by its first bytes what would be refused after a long download. */
function refuseEarly(head: Buffer, limits: Required<ImageLimits>): void {
  const detected = requireStorable(detectImage(head));
  if (detected.format === "qcow2") parseQcow2Header(head, limits);
}
