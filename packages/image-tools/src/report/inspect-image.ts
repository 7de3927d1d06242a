import { detectImage } from "../detect/detect-image.ts";
import type { ImageWrapper } from "../detect/detector.ts";
import { isImageError } from "../image-error.ts";
import type { ImageErrorCode } from "../image-error-codes.ts";
import { resolveImageLimits, type ImageLimits } from "../image-limits.ts";
import { memoryReader, type RandomAccessReader } from "../io/random-access-reader.ts";
import type { ForwardSource } from "../source/forward-source.ts";
import type { ImageSource } from "../source/open-source.ts";
import { BoundedReader, BudgetExceeded, headReader, type ReadBudget } from "./bounded-reader.ts";
import type { ImageReport } from "./image-report.ts";
import { inspectDisk, readHead, unlessExceeded } from "./inspect-disk.ts";

// An HTTP reader has fetched the first 80 KiB in one request on opening, which count here again.
const REMOTE_BUDGET: ReadBudget = { requests: 6, bytes: 300 * 1024, keeps: true };
const LOCAL_BUDGET: ReadBudget = { requests: Infinity, bytes: 64 * 1024 * 1024, keeps: false };
const MAX_CONTENT_BYTES = 16 * 1024 * 1024;
const MAX_WRAPPERS = 2;

/** What is said about an image, and not about where it comes from. */
const IMAGE_CODES: ReadonlySet<ImageErrorCode> = new Set([
  "IMAGE_UNRECOGNISED",
  "IMAGE_CORRUPT",
  "IMAGE_TRUNCATED",
  "IMAGE_UNSAFE",
  "IMAGE_UNSUPPORTED",
  "IMAGE_TOO_LARGE",
  "IMAGE_CHECKSUM_MISMATCH",
  "IMAGE_NOT_FOUND",
]);

/** Options of {@link inspectImage}. */
export interface InspectImageOptions {
  readonly limits?: ImageLimits | undefined;
  /** Ends the inspection with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Describes an image without reading all of it, also one that must not be used: the reason is in
 * the report then. A remote image costs at most six requests and 300 KiB, those of opening it
 * included; of a local one all tables are read, up to 64 MiB. The reader is left open.
 *
 * @throws ImageError only for failures to read, such as `IMAGE_IO` and `IMAGE_SOURCE_*`.
 */
export async function inspectImage(
  reader: RandomAccessReader,
  options: InspectImageOptions = {},
): Promise<ImageReport> {
  const isRemote = "traffic" in reader;
  const bounded = new BoundedReader(reader, isRemote ? REMOTE_BUDGET : LOCAL_BUDGET);
  return { ...(await inspect(bounded, !isRemote, options)), storedBytes: reader.sizeBytes };
}

/**
 * As {@link inspectImage}, of anything that `openSource` gives. Of a stream, up to 16 MiB are
 * consumed, so that it cannot be used for anything else afterwards.
 *
 * @throws ImageError as {@link inspectImage} does.
 */
export async function inspectSource(
  source: ImageSource,
  options: InspectImageOptions = {},
): Promise<ImageReport> {
  if (source.kind === "random") return inspectImage(source.reader, options);
  const { stream } = source;
  const { bytes, isWhole } = await readStart(stream, options.signal);
  const storedBytes = isWhole ? bytes.length : stream.sizeBytes;
  const reader = isWhole
    ? memoryReader(bytes)
    : headReader(bytes, stream.sizeBytes ?? Number.MAX_SAFE_INTEGER);
  const report = await inspect(reader, isWhole, options);
  return { ...report, ...(storedBytes === undefined ? {} : { storedBytes }) };
}

async function readStart(
  stream: ForwardSource,
  signal: AbortSignal | undefined,
): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const isWhole = await unlessExceeded(async () => {
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MAX_CONTENT_BYTES) return false;
    }
    return true;
  });
  return { bytes: Buffer.concat(chunks), isWhole: isWhole ?? false };
}

async function inspect(
  reader: RandomAccessReader,
  whole: boolean,
  options: InspectImageOptions,
): Promise<ImageReport> {
  const wrappers: (ImageWrapper | "tar")[] = [];
  const partial: Partial<ImageReport>[] = [];
  try {
    return await inspectLayers(reader, whole, options, wrappers, partial);
  } catch (error) {
    if (error instanceof BudgetExceeded) {
      const warnings = ["too much of the image would have to be read to describe it"];
      return { ...NOTHING, ...partial.at(-1), wrappers, warnings };
    }
    if (!isImageError(error) || !IMAGE_CODES.has(error.code)) throw error;
    const { code, message } = error;
    return { ...NOTHING, ...partial.at(-1), wrappers, unsafe: { code, message } };
  }
}

/** Describes a container image by the beginning of its disk. */
async function inspectLayout(
  reader: RandomAccessReader,
  options: InspectImageOptions,
): Promise<Omit<ImageReport, "wrappers">> {
  const { openOciLayout } = await import("../oci/open-oci-layout.ts");
  await using stream = await openOciLayout(reader, options);
  const { bytes, isWhole } = await readStart(stream, options.signal);
  const content = isWhole ? memoryReader(bytes) : headReader(bytes, stream.sizeBytes);
  const {
    storedBytes: _stored,
    wrappers,
    format,
    ...report
  } = await inspect(content, isWhole, options);
  const inner = [...wrappers, format ?? "unknown"].join(" > ");
  return { ...report, format: "oci", warnings: [...report.warnings, `the disk is ${inner}`] };
}

const NOTHING = { cdrom: false, boot: { bios: false, uefi: false }, warnings: [] } as const;

/** Takes off one wrapper after the other; `wrappers` and `partial` tell how far it came. */
async function inspectLayers(
  start: RandomAccessReader,
  startWhole: boolean,
  options: InspectImageOptions,
  wrappers: (ImageWrapper | "tar")[],
  partial: Partial<ImageReport>[],
): Promise<ImageReport> {
  const { signal } = options;
  const limits = resolveImageLimits(options.limits);
  let reader = start;
  let whole = startWhole;
  let contentBytes: number | undefined;
  for (;;) {
    const detected = detectImage(await readHead(reader));
    if (detected.kind === "image" || wrappers.length === MAX_WRAPPERS) {
      if (detected.kind === "image") {
        partial.push({ format: detected.format, cdrom: detected.cdrom });
      }
      const { maxVirtualSizeBytes } = limits;
      const disk = await inspectDisk(reader, { whole, maxVirtualSizeBytes, signal });
      const size = disk.virtualSizeBytes ?? (disk.format === "raw" ? contentBytes : undefined);
      return {
        ...disk,
        wrappers,
        ...(size === undefined ? {} : { virtualSizeBytes: size }),
      };
    }
    if (detected.kind === "wrapper") {
      wrappers.push(detected.wrapper);
      const { maxDecompressionRatio } = limits;
      const { unwrapForInspection } = await import("./inspect-wrapped.ts");
      const unwrapped = await unwrapForInspection(reader, detected.wrapper, {
        maxContentBytes: MAX_CONTENT_BYTES,
        maxDecompressionRatio,
        signal,
      });
      ({ reader } = unwrapped);
      contentBytes = unwrapped.sizeBytes;
      whole &&= reader.sizeBytes <= MAX_CONTENT_BYTES;
    } else {
      const { inspectArchive } = await import("./inspect-archive.ts");
      const archive = await inspectArchive(reader, signal);
      if (archive.kind === "report") return { ...archive.report, wrappers };
      if (archive.kind === "oci") {
        partial.push({ format: "oci" });
        return { ...(await inspectLayout(reader, options)), wrappers };
      }
      wrappers.push("tar");
      ({ reader } = archive);
    }
  }
}
