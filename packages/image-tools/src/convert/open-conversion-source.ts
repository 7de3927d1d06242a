import { createHash } from "node:crypto";
import { limitExpansion } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { detectImage, type DetectedImage } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES } from "../detect/detector.ts";
import type { DiskFormat } from "../disk/disk-format.ts";
import type { DiskImage } from "../disk/disk-image.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import { peekStream } from "../io/peek-stream.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { openSource, type ImageSource } from "../source/open-source.ts";
import { readInOrder } from "../source/sub-reader.ts";
import type { SparseExtent } from "../sparse/sparse-stream.ts";
import type { ConversionSource } from "./conversion-source.ts";
import { planCopy } from "./plan-copy.ts";
import { planStreamCopy } from "./plan-stream-copy.ts";
import { sourceIdentity } from "./source-identity.ts";
import { spoolToFile } from "./spool-file.ts";

/** Options of {@link openConversionSource}. */
export interface OpenConversionSourceOptions {
  readonly limits: Required<ImageLimits>;
  readonly expectedFormat: DiskFormat | undefined;
  /** Where a container that comes as a stream may be kept until it is complete. */
  readonly scratchDirectory: string;
  readonly caBundle: string | undefined;
  /** Whether the SHA-256 of the source is wanted. */
  readonly sha256: boolean;
  /** An archive inside of one is refused. */
  readonly isInArchive?: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens an image by its path or URL, or takes one that is open already, with whatever is around it.
 *
 * @throws ImageError as opening the source, recognising, and opening the image do.
 */
export async function openConversionSource(
  source: string | URL | DiskImage,
  options: OpenConversionSourceOptions,
): Promise<ConversionSource> {
  if (typeof source === "object" && !(source instanceof URL)) return fromImage(source, options);
  const { signal, caBundle } = options;
  const opened = await openSource(source, { signal, caBundle });
  if (opened.kind === "forward") return fromOpened(opened, options);
  try {
    const identity = await sourceIdentity(String(source), opened.reader);
    return { ...(await fromOpened(opened, options)), identity };
  } catch (error) {
    await opened.reader[Symbol.asyncDispose]();
    throw error;
  }
}

/** Takes over what was opened; it is left open only when a reader cannot be used. */
async function fromOpened(
  opened: ImageSource,
  options: OpenConversionSourceOptions,
): Promise<ConversionSource> {
  if (opened.kind === "forward") {
    const { stream } = opened;
    return fromStream(stream, stream.sizeBytes, stream, options);
  }
  const { reader } = opened;
  const { signal, expectedFormat } = options;
  const detected = await detectIn(reader);
  if (detected.kind === "wrapper") {
    return fromStream(readInOrder(reader, signal), reader.sizeBytes, reader, options);
  }
  if (detected.kind === "archive") return fromArchive(reader, options);
  const { maxVirtualSizeBytes } = options.limits;
  const image = await openDiskImage(reader, { maxVirtualSizeBytes, expectedFormat, signal });
  return fromReader(reader, image, options);
}

/** The one disk in an archive. */
async function fromArchive(
  reader: RandomAccessReader,
  options: OpenConversionSourceOptions,
): Promise<ConversionSource> {
  const { limits, signal } = options;
  if (options.isInArchive === true) throw archiveRefused();
  const { openArchiveDisk } = await import("../source/open-archive-disk.ts");
  const disk = await openArchiveDisk(reader, { limits, signal });
  const inner = await fromOpened(disk.source, { ...options, sha256: false, isInArchive: true });
  const digest = options.sha256 ? digestOf(reader, signal) : undefined;
  digest?.catch(() => {});
  return {
    ...inner,
    wrappers: [disk.archive, ...inner.wrappers],
    sha256: async () => digest,
    verify: () => disk.verify({ signal }),
    [Symbol.asyncDispose]: async () => {
      await digest?.catch(() => undefined);
      await inner[Symbol.asyncDispose]();
      await reader[Symbol.asyncDispose]();
    },
  };
}

async function detectIn(reader: RandomAccessReader): Promise<DetectedImage> {
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  const tailBytes = Math.min(reader.sizeBytes, TAIL_SAMPLE_BYTES);
  return detectImage(head, await reader.read(reader.sizeBytes - tailBytes, tailBytes));
}

/** An image that is read at random, if possible through its segments. */
function fromReader(
  reader: RandomAccessReader,
  image: DiskImage,
  options: OpenConversionSourceOptions,
): ConversionSource {
  const { signal } = options;
  const digest = options.sha256 ? digestOf(reader, signal) : undefined;
  // It is awaited at the end; until then its failure must not count as unhandled.
  digest?.catch(() => {});
  const segments = image.segments?.({ signal });
  return {
    format: image.format,
    wrappers: [],
    identity: undefined,
    virtualSizeBytes: image.virtualSizeBytes,
    allocatedBytes: image.allocatedBytes,
    reader,
    warnings: () => image.warnings,
    streamFraction: () => undefined,
    streamBytes: () => 0,
    sha256: async () => digest,
    verify: async () => {},
    steps: (planOptions) =>
      segments === undefined
        ? planStreamCopy(image.stream({ signal }), planOptions)
        : planCopy(segments, planOptions),
    [Symbol.asyncDispose]: async () => {
      await digest?.catch(() => undefined);
      await image[Symbol.asyncDispose]();
    },
  };
}

function fromImage(image: DiskImage, options: OpenConversionSourceOptions): ConversionSource {
  const { limits, signal } = options;
  if (options.sha256) {
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      "the digest of a source is available for a path or URL, not for an opened image",
    );
  }
  if (image.virtualSizeBytes > limits.maxVirtualSizeBytes) throw tooLarge(limits);
  return {
    format: image.format,
    wrappers: [],
    identity: undefined,
    virtualSizeBytes: image.virtualSizeBytes,
    allocatedBytes: image.allocatedBytes,
    reader: undefined,
    warnings: () => image.warnings,
    streamFraction: () => undefined,
    streamBytes: () => 0,
    sha256: async () => undefined,
    verify: async () => {},
    steps: (planOptions) => planStreamCopy(image.stream({ signal }), planOptions),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** A stream with or without compression around a raw disk, or around a container. */
async function fromStream(
  stream: AsyncIterable<Uint8Array>,
  totalBytes: number | undefined,
  owner: AsyncDisposable,
  options: OpenConversionSourceOptions,
): Promise<ConversionSource> {
  const { limits, signal } = options;
  const counter = { bytes: 0 };
  const hash = options.sha256 ? createHash("sha256") : undefined;

  async function* counted(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of stream) {
      counter.bytes += chunk.length;
      hash?.update(chunk);
      yield chunk;
    }
  }

  const outer = await peekStream(counted(), HEAD_SAMPLE_BYTES);
  const owned: AsyncDisposable[] = [outer, owner];
  const dispose = async (): Promise<void> => {
    for (const resource of owned) await resource[Symbol.asyncDispose]();
  };
  try {
    let content = outer;
    let detected = detectImage(outer.head);
    const wrappers: string[] = [];
    if (detected.kind === "wrapper") {
      wrappers.push(detected.wrapper);
      const decoded = streamDecoder(detected.wrapper).decode(outer.stream);
      const limited = limitExpansion(decoded, counter, limits.maxDecompressionRatio);
      content = await peekStream(limited, HEAD_SAMPLE_BYTES);
      owned.unshift(content);
      detected = detectImage(content.head);
    }
    if (detected.kind === "wrapper") throw wrappedTwice(detected.wrapper);
    if (detected.kind === "archive") throw archiveRefused();
    const { format } = detected;
    requireExpected(format, options.expectedFormat);
    const streamFraction = (): number | undefined =>
      totalBytes === undefined ? undefined : counter.bytes / Math.max(1, totalBytes);
    const sha256 = async (): Promise<string | undefined> => hash?.digest("hex");
    if (format === "raw" || format === "iso") {
      const { warnings } = detected;
      return {
        format,
        wrappers,
        identity: undefined,
        virtualSizeBytes: undefined,
        allocatedBytes: undefined,
        reader: undefined,
        warnings: () => warnings,
        streamFraction,
        streamBytes: () => counter.bytes,
        sha256,
        verify: async () => {},
        steps: (planOptions) =>
          planStreamCopy(toExtents(content.stream, limits, signal), planOptions),
        [Symbol.asyncDispose]: dispose,
      };
    }
    const reader = await spoolToFile(content.stream, {
      directory: options.scratchDirectory,
      maxBytes: limits.maxStoredBytes,
      signal,
    });
    owned.unshift(reader);
    const { maxVirtualSizeBytes } = limits;
    const image = await openDiskImage(reader, { maxVirtualSizeBytes, signal });
    const inner = fromReader(reader, image, { ...options, sha256: false });
    return { ...inner, wrappers, sha256, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function* toExtents(
  stream: AsyncIterable<Uint8Array>,
  limits: Required<ImageLimits>,
  signal: AbortSignal | undefined,
): AsyncGenerator<SparseExtent, void, void> {
  let bytes = 0;
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    bytes += chunk.length;
    if (bytes > limits.maxVirtualSizeBytes) throw tooLarge(limits);
    yield { type: "data", bytes: chunk };
  }
}

async function digestOf(
  reader: RandomAccessReader,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of readInOrder(reader, signal)) hash.update(chunk);
  return hash.digest("hex");
}

function requireExpected(format: DiskFormat, expected: DiskFormat | undefined): void {
  if (expected === undefined || expected === format) return;
  throw new ImageError(
    "IMAGE_FORMAT_MISMATCH",
    `the image is of format ${format}, but ${expected} was expected`,
  );
}

function tooLarge({ maxVirtualSizeBytes }: Required<ImageLimits>): ImageError {
  return new ImageError(
    "IMAGE_TOO_LARGE",
    `the disk has more than the allowed ${maxVirtualSizeBytes} bytes`,
  );
}

function wrappedTwice(wrapper: string): ImageError {
  return new ImageError(
    "IMAGE_UNSUPPORTED",
    `the file holds ${wrapper} inside another compression; compress it only once`,
  );
}

function archiveRefused(): ImageError {
  return new ImageError(
    "IMAGE_UNSUPPORTED",
    "the file is an archive that cannot be read from front to back, or that is in another archive",
  );
}
