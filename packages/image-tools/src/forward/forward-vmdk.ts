import { readStructure, requireWithin, type DiskOpenerOptions } from "../disk/disk-opener.ts";
import { openVmdk, requireOneFile } from "../vmdk/open-vmdk.ts";
import { directoryBytes } from "../vmdk/vmdk-grains.ts";
import { parseVmdkHeader, VMDK_SECTOR_BYTES, vmdkErrors } from "../vmdk/vmdk-header.ts";
import { openTabled, type ForwardDisk } from "./forward-disk.ts";
import { VmdkStream } from "./vmdk-stream.ts";
import type { WindowReader } from "./window-reader.ts";

/**
 * Opens a VMDK image that comes as a stream: one with markers by these, and compares its tables with
 * what was found; any other one by its tables.
 */
export async function openForwardVmdk(
  window: WindowReader,
  options: DiskOpenerOptions,
): Promise<ForwardDisk> {
  const head = await readStructure(window, vmdkErrors, "the header", 0, VMDK_SECTOR_BYTES);
  const header = parseVmdkHeader(head);
  if (!header.hasMarkers || !header.isCompressed) return openTabled(openVmdk, window, options);
  const virtualSizeBytes = header.capacity * VMDK_SECTOR_BYTES;
  requireWithin(vmdkErrors, "the disk", virtualSizeBytes, options.maxVirtualSizeBytes);
  requireWithin(vmdkErrors, "the directory", directoryBytes(header), options.maxTableBytes);
  await requireOneFile(window, header);
  const stream = new VmdkStream(window, header);
  await stream.readFirstTables();
  return {
    virtualSizeBytes,
    warnings: [],
    segments: () => stream.segments(options.signal),
    finish: () => stream.finish(),
  };
}
