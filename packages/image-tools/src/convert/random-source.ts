import type { DiskImage } from "../disk/disk-image.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { ConversionSource } from "./conversion-source.ts";
import type { ConversionSourceOptions } from "./conversion-source-options.ts";
import { planCopy } from "./plan-copy.ts";
import { planStreamCopy } from "./plan-stream-copy.ts";

/** A reader, with the digests of what it reads. */
export interface DigestedReader {
  readonly reader: RandomAccessReader;
  readonly digests: ConversionSource["digests"];
  /** Waits for what reads for the digests; to be called before the reader is disposed. */
  readonly settle: () => Promise<void>;
}

/** A reader of which nobody wants to know the digests. */
export function undigested(reader: RandomAccessReader): DigestedReader {
  return { reader, digests: async () => undefined, settle: async () => {} };
}

/** An image that is read at random, if possible through its segments. */
export function randomSource(
  { reader, digests, settle }: DigestedReader,
  image: DiskImage,
  { signal }: ConversionSourceOptions,
): ConversionSource {
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
    digests,
    verify: async () => {},
    steps: (planOptions) =>
      segments === undefined
        ? planStreamCopy(image.stream({ signal }), planOptions)
        : planCopy(segments, planOptions),
    [Symbol.asyncDispose]: async () => {
      await settle();
      await image[Symbol.asyncDispose]();
    },
  };
}

/** An image that somebody else has opened, and that stays open. */
export function imageSource(image: DiskImage, options: ConversionSourceOptions): ConversionSource {
  const { limits, signal } = options;
  if (options.digest !== undefined) {
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      "digests of a source are available for a path, URL or stream, not for an opened image",
    );
  }
  if (image.virtualSizeBytes > limits.maxVirtualSizeBytes) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `the disk has more than the allowed ${limits.maxVirtualSizeBytes} bytes`,
    );
  }
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
    digests: async () => undefined,
    verify: async () => {},
    steps: (planOptions) => planStreamCopy(image.stream({ signal }), planOptions),
    [Symbol.asyncDispose]: async () => {},
  };
}
