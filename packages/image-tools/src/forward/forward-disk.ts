import { ImageError } from "../image-error.ts";
import type { DiskFormat } from "../disk/disk-format.ts";
import type { DiskOpener, DiskOpenerOptions } from "../disk/disk-opener.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import { RememberedReads } from "./remembered-reads.ts";
import type { WindowReader } from "./window-reader.ts";

/** A disk whose image comes as a stream and is read once, from front to back. */
export interface ForwardDisk {
  readonly virtualSizeBytes: number;
  readonly warnings: readonly string[];
  /** Where the content lies, in the order of the disk. Throws as soon as a part is found wrong. */
  segments(): AsyncIterable<readonly DiskSegment[]>;
  /**
   * Completes the checks after the whole stream has been read.
   *
   * @param tail - The last `TAIL_SAMPLE_BYTES`.
   * @throws ImageError as opening the image does.
   */
  finish(tail: Buffer): Promise<void>;
}

/** A format that is a container and not the disk itself. */
export type ContainerFormat = Exclude<DiskFormat, "raw" | "iso">;

/**
 * Opens the image at the beginning of a stream that is longer than the window.
 *
 * @throws ImageError as opening an image does, and `IMAGE_NOT_STREAMABLE` where it is known already
 * that what comes first cannot be understood before what comes last.
 */
export async function openForwardDisk(
  window: WindowReader,
  format: ContainerFormat,
  options: DiskOpenerOptions,
): Promise<ForwardDisk> {
  switch (format) {
    case "qcow2":
      return (await import("./forward-qcow2.ts")).openForwardQcow2(window, options);
    case "vmdk":
      return (await import("./forward-vmdk.ts")).openForwardVmdk(window, options);
    case "vhd":
      return (await import("./forward-vhd.ts")).openForwardVhd(window, options);
    case "vdi":
      return openTabled((await import("../vdi/open-vdi.ts")).openVdi, window, options);
    case "vhdx":
      return openTabled((await import("../vhdx/open-vhdx.ts")).openVhdx, window, options);
  }
}

/** Opens an image whose tables all come before its data. */
export async function openTabled(
  open: DiskOpener,
  reader: Parameters<DiskOpener>[0],
  options: DiskOpenerOptions,
): Promise<ForwardDisk> {
  const tables = new RememberedReads(reader);
  const image = await open(tables, options);
  tables.stop();
  const segments = image.segments?.({ signal: options.signal });
  if (segments === undefined) {
    throw new ImageError(
      "IMAGE_NOT_STREAMABLE",
      `the ${image.format} image was not closed properly and has to be read out of order; give it as a file`,
    );
  }
  return {
    virtualSizeBytes: image.virtualSizeBytes,
    warnings: image.warnings,
    segments: () => segments,
    finish: async () => {},
  };
}
