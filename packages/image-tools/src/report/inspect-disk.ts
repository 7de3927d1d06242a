import { detectImage, findFormats } from "../detect/detect-image.ts";
import { HEAD_SAMPLE_BYTES } from "../detect/detector.ts";
import type { DiskImage } from "../disk/disk-image.ts";
import { borrowReader } from "../disk/borrow-reader.ts";
import { openDiskImage } from "../disk/open-disk-image.ts";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import {
  BOOT_HEAD_BYTES,
  bootCatalogOffset,
  catalogBootHints,
  diskBootHints,
} from "./boot-hints.ts";
import { BudgetExceeded } from "./bounded-reader.ts";
import type { BootHints, ImageReport } from "./image-report.ts";

const NO_HINTS: BootHints = { bios: false, uefi: false };
const CATALOG_BYTES = 2048;
// Formats that programs are known to probe for in a raw disk, and that can refer to other files.
const NESTED_FORMATS = new Set(["qcow2", "qcow", "vmdk", "vdi", "vhd", "vhdx", "qed", "parallels"]);

/** How {@link inspectDisk} looks at an image. */
export interface InspectDiskOptions {
  /** Whether all tables are read, so that the allocated size is known. */
  readonly whole: boolean;
  readonly maxVirtualSizeBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** What is known of a disk image that nothing is around. */
export type DiskReport = Pick<
  ImageReport,
  "format" | "virtualSizeBytes" | "allocatedBytes" | "cdrom" | "boot" | "warnings"
>;

/**
 * Describes an image by its headers, and more where the reader allows.
 *
 * @throws ImageError as `openDiskImage` does; {@link BudgetExceeded} when not even the beginning
 * and the end can be read.
 */
export async function inspectDisk(
  reader: RandomAccessReader,
  options: InspectDiskOptions,
): Promise<DiskReport> {
  const { maxVirtualSizeBytes, signal, whole } = options;
  let image: DiskImage;
  try {
    image = await openDiskImage(borrowReader(reader), {
      lazy: !whole,
      maxVirtualSizeBytes,
      signal,
    });
  } catch (error) {
    if (!(error instanceof BudgetExceeded)) throw error;
    return inspectHead(reader, options);
  }
  const boot = await unlessExceeded(() => bootHintsOf(image, reader, signal));
  const { allocatedBytes, warnings } = image;
  return {
    format: image.format,
    virtualSizeBytes: image.virtualSizeBytes,
    ...(allocatedBytes === undefined ? {} : { allocatedBytes }),
    cdrom: image.format === "iso",
    boot: boot ?? NO_HINTS,
    warnings: [...warnings],
  };
}

/** What the first bytes alone tell. */
async function inspectHead(
  reader: RandomAccessReader,
  { maxVirtualSizeBytes }: InspectDiskOptions,
): Promise<DiskReport> {
  const head = await readHead(reader);
  const detected = detectImage(head);
  if (detected.kind !== "image") {
    throw new ImageError("IMAGE_UNSUPPORTED", "the file is wrapped more often than can be read");
  }
  const { format, cdrom } = detected;
  const isQcow2 = format === "qcow2";
  const isWhole = format === "raw" || format === "iso";
  const size = isQcow2
    ? await qcow2Size(head, maxVirtualSizeBytes)
    : isWhole
      ? reader.sizeBytes
      : undefined;
  return {
    format,
    ...(size === undefined || size === Number.MAX_SAFE_INTEGER ? {} : { virtualSizeBytes: size }),
    cdrom,
    boot: format === "raw" ? diskBootHints(head) : NO_HINTS,
    warnings: [...detected.warnings],
  };
}

async function qcow2Size(head: Buffer, maxVirtualSizeBytes: number): Promise<number> {
  const { parseQcow2Header } = await import("../qcow2/qcow2-header.ts");
  return parseQcow2Header(head, { maxVirtualSizeBytes }).virtualSizeBytes;
}

/** The beginning of a file, as much as detection needs. */
export function readHead(reader: RandomAccessReader): Promise<Buffer> {
  return reader.read(0, Math.min(reader.sizeBytes, HEAD_SAMPLE_BYTES));
}

/** The result of `run`; `undefined` when it would read more than allowed. */
export async function unlessExceeded<Result>(
  run: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BudgetExceeded) return undefined;
    throw error;
  }
}

async function bootHintsOf(
  image: DiskImage,
  reader: RandomAccessReader,
  signal: AbortSignal | undefined,
): Promise<BootHints> {
  if (image.format === "iso") {
    const head = await readHead(reader);
    const disk = diskBootHints(head);
    const offset = bootCatalogOffset(head);
    if (offset === undefined || offset + CATALOG_BYTES > reader.sizeBytes) return disk;
    const disc = catalogBootHints(await reader.read(offset, CATALOG_BYTES));
    return { bios: disk.bios || disc.bios, uefi: disk.uefi || disc.uefi };
  }
  const head = await image.read(0, Math.min(image.virtualSizeBytes, BOOT_HEAD_BYTES), { signal });
  if (image.format !== "raw") refuseNested(image.format, head);
  return diskBootHints(head);
}

function refuseNested(format: string, head: Buffer): void {
  const nested = findFormats({ head, tail: Buffer.alloc(0) }).find((name) =>
    NESTED_FORMATS.has(name),
  );
  if (nested === undefined) return;
  throw new ImageError(
    "IMAGE_UNSAFE",
    `the disk inside the ${format} image begins like a ${nested} image, which could deceive its reader`,
  );
}
