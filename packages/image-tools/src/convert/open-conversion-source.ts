import { detectImage, type DetectedImage } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { ForwardSource } from "../source/forward-source.ts";
import { openSource } from "../source/open-source.ts";
import type { ConversionInput } from "./conversion-input.ts";
import type { ConversionSource } from "./conversion-source.ts";
import type { ConversionSourceOptions } from "./conversion-source-options.ts";
import { imageSource, randomSource, undigested, type DigestedReader } from "./random-source.ts";

/**
 * Opens an image by its path or URL, or takes one that is open already or comes as a stream, with
 * whatever is around it.
 *
 * @throws ImageError as opening the source, recognising, and opening the image do.
 */
export async function openConversionSource(
  source: ConversionInput,
  options: ConversionSourceOptions,
): Promise<ConversionSource> {
  if (typeof source === "object" && !(source instanceof URL)) {
    return "virtualSizeBytes" in source
      ? imageSource(source, options)
      : openStream(source, options);
  }
  const { signal, caBundle } = options;
  const opened = await openSource(source, { signal, caBundle });
  if (opened.kind === "forward") return openStream(opened.stream, options);
  try {
    if (!options.identity) return await readerSource(opened.reader, options);
    const { sourceIdentity } = await import("./source-identity.ts");
    const identity = await sourceIdentity(String(source), opened.reader);
    return Object.assign(await readerSource(opened.reader, options), { identity });
  } catch (error) {
    await opened.reader[Symbol.asyncDispose]();
    throw error;
  }
}

// What only some conversions need is loaded then: that takes as long as converting a little image.
async function openStream(
  stream: ForwardSource,
  options: ConversionSourceOptions,
): Promise<ConversionSource> {
  const { streamSource } = await import("./stream-source.ts");
  return streamSource(stream, options);
}

async function takeDigests(
  reader: RandomAccessReader,
  { digest, signal }: ConversionSourceOptions,
): Promise<DigestedReader> {
  if (digest === undefined) return undigested(reader);
  const { digestReader } = await import("./digest-reader.ts");
  return digestReader(reader, digest, signal);
}

/** Takes over the reader, but leaves it open on failure. */
async function readerSource(
  reader: RandomAccessReader,
  options: ConversionSourceOptions,
): Promise<ConversionSource> {
  const { signal, expectedFormat } = options;
  const detected = await detectIn(reader);
  if (detected.kind === "wrapper") {
    if (detected.wrapper === "xz") {
      const { xzFileSource } = await import("./xz-file-source.ts");
      const source = await xzFileSource(reader, options);
      if (source !== undefined) return source;
    }
    const { fileStream } = await import("../source/sub-reader.ts");
    return openStream(fileStream(reader, signal), options);
  }
  if (detected.kind === "archive") return archiveSource(reader, options);
  const { maxVirtualSizeBytes } = options.limits;
  const digested = await takeDigests(reader, options);
  try {
    const image = await openDiskImage(digested.reader, {
      maxVirtualSizeBytes,
      expectedFormat,
      signal,
    });
    return randomSource(digested, image, options);
  } catch (error) {
    await digested.settle();
    throw error;
  }
}

/** A disk in an archive. */
async function archiveSource(
  reader: RandomAccessReader,
  options: ConversionSourceOptions,
): Promise<ConversionSource> {
  const { limits, member, signal } = options;
  if (options.isInArchive === true) {
    throw new ImageError("IMAGE_UNSUPPORTED", "the file is an archive in another archive");
  }
  const { openArchiveDisk } = await import("../source/open-archive-disk.ts");
  const digested = await takeDigests(reader, options);
  try {
    const disk = await openArchiveDisk(digested.reader, { limits, member, signal });
    const innerOptions = { ...options, digest: undefined, isInArchive: true };
    const inner =
      disk.source.kind === "forward"
        ? await openStream(disk.source.stream, innerOptions)
        : await readerSource(disk.source.reader, innerOptions);
    const disposeInner = inner[Symbol.asyncDispose].bind(inner);
    return Object.assign(inner, {
      wrappers: [disk.archive, ...inner.wrappers],
      digests: digested.digests,
      verify: () => disk.verify({ signal }),
      [Symbol.asyncDispose]: async () => {
        await digested.settle();
        await disposeInner();
        await digested.reader[Symbol.asyncDispose]();
      },
    });
  } catch (error) {
    await digested.settle();
    throw error;
  }
}

async function detectIn(reader: RandomAccessReader): Promise<DetectedImage> {
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  const tailBytes = Math.min(reader.sizeBytes, TAIL_SAMPLE_BYTES);
  return detectImage(head, await reader.read(reader.sizeBytes - tailBytes, tailBytes));
}
