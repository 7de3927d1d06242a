import { detectImage, findFormats, findStrongFormats } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES, TAIL_SAMPLE_BYTES, type ImageSample } from "../detect/detector.ts";
import { ImageError } from "../image-error.ts";
import { DEFAULT_MAX_VIRTUAL_SIZE_BYTES } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { DiskFormat } from "./disk-format.ts";
import type { DiskImage } from "./disk-image.ts";
import type { DiskOpener, DiskOpenerOptions, ResolveExtent } from "./disk-opener.ts";
import type { ClaimedSize } from "./raw-claimed-size.ts";

const DEFAULT_MAX_TABLE_BYTES = 32 * 1024 * 1024;

// Formats that programs are known to probe for in a raw disk, and that can refer to other files.
const NESTED_FORMATS = new Set(["qcow2", "qcow", "vmdk", "vdi", "vhd", "vhdx", "qed", "parallels"]);

/** Options of {@link openDiskImage}. */
export interface OpenDiskImageOptions {
  /** Refuses disks larger than this. Default: 16 TiB. */
  readonly maxVirtualSizeBytes?: number | undefined;
  /** Refuses images with a table larger than this. Default: 32 MiB. */
  readonly maxTableBytes?: number | undefined;
  /**
   * Refuses every other format. `raw` also opens a disk on which nothing is recognised, and text,
   * but nothing that another program could take for another format.
   */
  readonly expectedFormat?: DiskFormat | undefined;
  /**
   * Reads only the headers. Tables are read and checked where reading comes to them, and
   * `allocatedBytes` stays unknown. Default: false.
   */
  readonly lazy?: boolean | undefined;
  /**
   * Gives the files that a VMDK descriptor names, by names without folders. Default: such images
   * are refused. The image disposes the readers.
   */
  readonly resolveExtent?: ResolveExtent | undefined;
  /** Ends opening with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Recognises a disk image by its beginning and end, opens it, and checks its whole structure
 * before it gives out anything: everything lies inside the file and is used once, nothing is
 * needed from elsewhere, and the disk itself does not begin like another image. Disposing the
 * image disposes the reader.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED`, `IMAGE_UNSUPPORTED` (also for compressed files and
 * archives, which have to be unwrapped first), `IMAGE_FORMAT_MISMATCH`, `IMAGE_TRUNCATED`,
 * `IMAGE_CORRUPT`, `IMAGE_UNSAFE`, `IMAGE_TOO_LARGE`, `IMAGE_IO`. The reader is left open then.
 */
export async function openDiskImage(
  reader: RandomAccessReader,
  options: OpenDiskImageOptions = {},
): Promise<DiskImage> {
  const { expectedFormat, signal } = options;
  signal?.throwIfAborted();
  const sample = await readSample(reader);
  const { format, warnings } = recognise(sample, expectedFormat);
  const resolved: DiskOpenerOptions = {
    maxVirtualSizeBytes: options.maxVirtualSizeBytes ?? DEFAULT_MAX_VIRTUAL_SIZE_BYTES,
    maxTableBytes: options.maxTableBytes ?? DEFAULT_MAX_TABLE_BYTES,
    lazy: options.lazy ?? false,
    resolveExtent: options.resolveExtent,
    signal,
  };
  if (format === "raw" || format === "iso") {
    requireSize(reader.sizeBytes, resolved.maxVirtualSizeBytes);
    const claimedSize =
      format === "iso" ? await discSize(reader, sample.head) : await rawSize(sample.head);
    const { rawDiskImage } = await import("./raw-disk-image.ts");
    return rawDiskImage(reader, { format, warnings, claimedSize });
  }
  const open = await OPENERS[format]();
  const image = await open(reader, resolved);
  if (!resolved.lazy) await refuseNested(image, signal);
  return image;
}

async function rawSize(head: Buffer): Promise<ClaimedSize | undefined> {
  const { rawClaimedSize } = await import("./raw-claimed-size.ts");
  return rawClaimedSize(head);
}

async function discSize(
  reader: RandomAccessReader,
  head: Buffer,
): Promise<ClaimedSize | undefined> {
  const { discClaimedSize } = await import("../iso9660/disc-claimed-size.ts");
  return discClaimedSize(reader, head);
}

// Loaded when needed: most programs meet one or two formats.
const OPENERS: Readonly<Record<Exclude<DiskFormat, "raw" | "iso">, () => Promise<DiskOpener>>> = {
  qcow2: async () => {
    const { openQcow2Disk } = await import("../qcow2/qcow2-disk.ts");
    return async (reader, options) => (await openQcow2Disk(reader, options)).image;
  },
  vmdk: async () => (await import("../vmdk/open-vmdk.ts")).openVmdk,
  vdi: async () => (await import("../vdi/open-vdi.ts")).openVdi,
  vhd: async () => (await import("../vhd/open-vhd.ts")).openVhd,
  vhdx: async () => (await import("../vhdx/open-vhdx.ts")).openVhdx,
};

async function readSample(reader: RandomAccessReader): Promise<ImageSample> {
  const head = await reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
  const tailBytes = Math.min(reader.sizeBytes, TAIL_SAMPLE_BYTES);
  const tail =
    reader.sizeBytes <= head.length
      ? head.subarray(head.length - tailBytes)
      : await reader.read(reader.sizeBytes - tailBytes, tailBytes);
  return { head, tail };
}

function recognise(
  sample: ImageSample,
  expected: DiskFormat | undefined,
): { readonly format: DiskFormat; readonly warnings: readonly string[] } {
  if (expected === "raw") {
    const others = findStrongFormats(sample).filter((format) => format !== "raw");
    if (others.length > 0) throw mismatch(expected, others.join(", "));
    return { format: "raw", warnings: [] };
  }
  const detected = detectImage(sample.head, sample.tail);
  if (detected.kind !== "image") {
    const name = detected.kind === "wrapper" ? detected.wrapper : detected.archive;
    if (expected !== undefined) throw mismatch(expected, name);
    throw new ImageError("IMAGE_UNSUPPORTED", `the file is ${name} around an image; unwrap it`);
  }
  if (expected !== undefined && detected.format !== expected) {
    throw mismatch(expected, detected.format);
  }
  return detected;
}

function mismatch(expected: DiskFormat, found: string): ImageError {
  return new ImageError(
    "IMAGE_FORMAT_MISMATCH",
    `the image is expected to be ${expected}, but it is ${found}`,
  );
}

function requireSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new ImageError("IMAGE_TOO_LARGE", `the disk has ${bytes} bytes, more than ${maxBytes}`);
}

async function refuseNested(image: DiskImage, signal: AbortSignal | undefined): Promise<void> {
  const headBytes = Math.min(image.virtualSizeBytes, HEAD_SAMPLE_BYTES);
  const head = await image.read(0, headBytes, { signal });
  const nested = findFormats({ head, tail: Buffer.alloc(0) }).find((format) =>
    NESTED_FORMATS.has(format),
  );
  if (nested === undefined) return;
  throw new ImageError(
    "IMAGE_UNSAFE",
    `the disk inside the ${image.format} image begins like a ${nested} image, which could deceive its reader`,
  );
}
