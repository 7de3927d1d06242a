import { countBytes, limitExpansion, type ByteCounter } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { detectImage } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, type ImageWrapper } from "../detect/detector.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { openForwardDisk, type ContainerFormat } from "../forward/forward-disk.ts";
import { RawStream } from "../forward/raw-stream.ts";
import { WindowReader } from "../forward/window-reader.ts";
import { ImageError } from "../image-error.ts";
import { peekStream, type PeekedStream } from "../io/peek-stream.ts";
import type { ForwardSource } from "../source/forward-source.ts";
import type { ConversionSource } from "./conversion-source.ts";
import type { ConversionSourceOptions } from "./conversion-source-options.ts";
import { forwardSteps } from "./forward-steps.ts";
import type { PlanCopyOptions } from "./plan-copy.ts";
import { planStreamCopy } from "./plan-stream-copy.ts";
import { randomSource } from "./random-source.ts";

// Only the headers and tables of an image that is streamed are judged before its data.
const MAX_TABLE_BYTES = 32 * 1024 * 1024;

/**
 * A stream with or without compression around an image; disposing the source disposes it. With
 * `decode`, what is compressed is decoded by it, which counts what it reads, and not from the stream.
 */
export async function streamSource(
  stream: ForwardSource,
  options: ConversionSourceOptions,
  decode?: (counter: ByteCounter) => AsyncIterable<Uint8Array>,
): Promise<ConversionSource> {
  const { limits, digest } = options;
  const { sizeBytes } = stream;
  const counter = { bytes: 0 };
  const owned: AsyncDisposable[] = [stream];
  const dispose = async (): Promise<void> => {
    for (const resource of owned) await resource[Symbol.asyncDispose]();
  };
  try {
    const outer = await peekStream(
      countBytes(digested(stream, digest), counter),
      HEAD_SAMPLE_BYTES,
    );
    owned.unshift(outer);
    let content = outer;
    let detected = detectImage(outer.head);
    const wrappers: ImageWrapper[] = [];
    if (detected.kind === "wrapper") {
      wrappers.push(detected.wrapper);
      const decoded = decode?.(counter) ?? streamDecoder(detected.wrapper).decode(outer.stream);
      const limited = limitExpansion(decoded, counter, limits.maxDecompressionRatio);
      content = await peekStream(limited, HEAD_SAMPLE_BYTES);
      owned.unshift(content);
      detected = detectImage(content.head);
    }
    if (detected.kind === "wrapper") throw wrappedTwice(detected.wrapper);
    let inner: InnerSource;
    if (detected.kind === "archive") {
      inner = await archiveSource(content.stream, wrappers, options);
      owned.unshift({ [Symbol.asyncDispose]: inner[Symbol.asyncDispose] });
    } else {
      const { format, warnings } = detected;
      inner =
        format === "raw" || format === "iso"
          ? rawSource(content, format, warnings, options)
          : await containerSource(content, format, options);
    }
    return Object.assign(inner, {
      wrappers: [...wrappers, ...inner.wrappers],
      streamFraction: () =>
        sizeBytes === undefined ? undefined : counter.bytes / Math.max(1, sizeBytes),
      streamBytes: () => counter.bytes,
      digests: async () => digest?.finish(),
      [Symbol.asyncDispose]: dispose,
    });
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function* digested(
  stream: AsyncIterable<Uint8Array>,
  digest: ConversionSourceOptions["digest"],
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of stream) {
    digest?.update(chunk);
    yield chunk;
  }
}

type InnerSource = { -readonly [Key in keyof ConversionSource]: ConversionSource[Key] };

/** A disk in a tar archive or an OVA; the archive is read to its end after it. */
async function archiveSource(
  stream: AsyncIterable<Uint8Array>,
  wrappers: readonly string[],
  options: ConversionSourceOptions,
): Promise<InnerSource> {
  const { limits, member, signal } = options;
  if (options.isInArchive === true) {
    throw new ImageError("IMAGE_UNSUPPORTED", "the file is an archive in another archive");
  }
  const { ForwardArchive } = await import("../forward/forward-archive.ts");
  const archive = new ForwardArchive(stream, { member, maxBytes: limits.maxStoredBytes, signal });
  const found = await archive.findDisk();
  const inner = await streamSource(found.stream, {
    ...options,
    digest: undefined,
    isInArchive: true,
  });
  const [wrapper] = inner.wrappers;
  if (wrapper !== undefined && wrappers.length > 0) {
    await inner[Symbol.asyncDispose]();
    throw wrappedTwice(wrapper);
  }
  const steps = inner.steps.bind(inner);
  return Object.assign(inner, {
    wrappers: [found.archive, ...inner.wrappers],
    steps: async function* whole(planOptions: PlanCopyOptions) {
      yield* steps(planOptions);
      await archive.finish();
    },
  });
}

function rawSource(
  { head, stream }: PeekedStream,
  format: "raw" | "iso",
  warnings: readonly string[],
  { limits, expectedFormat, signal }: ConversionSourceOptions,
): InnerSource {
  // A fixed VHD is known by its end.
  if (expectedFormat !== "vhd") requireExpected(format, expectedFormat);
  const raw = new RawStream(stream, {
    format,
    head,
    maxBytes: limits.maxVirtualSizeBytes,
    signal,
  });
  return {
    ...UNKNOWN,
    get format() {
      return raw.format;
    },
    warnings: () => (raw.format === "vhd" ? [] : warnings),
    steps: async function* steps(planOptions) {
      yield* planStreamCopy(raw.extents(), planOptions);
      requireExpected(raw.format, expectedFormat);
    },
  };
}

/** A container that is small is read at random, any other from front to back. */
async function containerSource(
  { head, stream }: PeekedStream,
  format: ContainerFormat,
  options: ConversionSourceOptions,
): Promise<InnerSource> {
  const { limits, signal } = options;
  requireExpected(format, options.expectedFormat);
  const window = new WindowReader(stream, { maxBytes: limits.maxStoredBytes, signal });
  const { maxVirtualSizeBytes } = limits;
  if (await window.fill()) {
    const image = await openDiskImage(window, { maxVirtualSizeBytes, signal });
    const reader = { reader: window, digests: UNKNOWN.digests, settle: async () => {} };
    return randomSource(reader, image, options);
  }
  const disk = await openForwardDisk(window, format, {
    maxVirtualSizeBytes,
    maxTableBytes: MAX_TABLE_BYTES,
    lazy: false,
    signal,
  });
  return {
    ...UNKNOWN,
    format,
    virtualSizeBytes: disk.virtualSizeBytes,
    warnings: () => disk.warnings,
    steps: (planOptions) => forwardSteps({ window, disk, head, format }, planOptions),
  };
}

const UNKNOWN: Omit<InnerSource, "format" | "warnings" | "steps"> = {
  wrappers: [],
  identity: undefined,
  virtualSizeBytes: undefined,
  allocatedBytes: undefined,
  reader: undefined,
  streamFraction: () => undefined,
  streamBytes: () => 0,
  digests: async () => undefined,
  verify: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

function requireExpected(format: string, expected: string | undefined): void {
  if (expected === undefined || expected === format) return;
  throw new ImageError(
    "IMAGE_FORMAT_MISMATCH",
    `the image is of format ${format}, but ${expected} was expected`,
  );
}

function wrappedTwice(wrapper: string): ImageError {
  return new ImageError(
    "IMAGE_UNSUPPORTED",
    `the file holds ${wrapper} inside another compression; compress it only once`,
  );
}
