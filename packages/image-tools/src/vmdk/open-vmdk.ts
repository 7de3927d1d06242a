import { concatenateDisks } from "../disk/concatenate-disks.ts";
import { hasBytesAt } from "../detect/detector.ts";
import type { DiskImage } from "../disk/disk-image.ts";
import {
  readStructure,
  requireWithin,
  type DiskOpener,
  type DiskOpenerOptions,
} from "../disk/disk-opener.ts";
import { segmentedDiskImage } from "../disk/segmented-disk-image.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { readStreamFooter } from "./stream-footer.ts";
import {
  MAX_DESCRIPTOR_BYTES,
  parseVmdkDescriptor,
  type VmdkDescriptor,
  type VmdkExtent,
} from "./vmdk-descriptor.ts";
import { checkVmdkGrains, directoryBytes, vmdkSegments, type VmdkGrains } from "./vmdk-grains.ts";
import { parseVmdkHeader, VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "./vmdk-header.ts";

const MAX_DESCRIPTOR_SECTORS = MAX_DESCRIPTOR_BYTES / VMDK_SECTOR_BYTES;
const SINGLE_FILE_TYPES = new Set(["monolithicSparse", "streamOptimized"]);
const MULTI_FILE_TYPES = new Set([
  "monolithicFlat",
  "twoGbMaxExtentFlat",
  "twoGbMaxExtentSparse",
  "vmfs",
]);
const ESX_MAGICS = ["COWD", "\xbe\xba\xfe\xca\0\0\0\0"];

/**
 * Opens a VMDK: monolithicSparse and streamOptimized, and a descriptor with extents in files that
 * `resolveExtent` gives. Disks that hold differences, and ESX formats, are refused.
 *
 * @see VMware Virtual Disk Format 5.0
 */
export const openVmdk: DiskOpener = async (reader, options) => {
  const head = await reader.read(0, Math.min(reader.sizeBytes, VMDK_SECTOR_BYTES));
  if (hasBytesAt(head, 0, "KDMV") || ESX_MAGICS.some((magic) => hasBytesAt(head, 0, magic))) {
    return openSparse(reader, options, "whole");
  }
  return openDescriptor(reader, options);
};

async function openSparse(
  reader: RandomAccessReader,
  options: DiskOpenerOptions,
  part: "whole" | "extent",
): Promise<DiskImage> {
  const head = await readStructure(reader, vmdkErrors, "the header", 0, VMDK_SECTOR_BYTES);
  const header = parseVmdkHeader(head);
  const virtualSizeBytes = header.capacity * VMDK_SECTOR_BYTES;
  requireWithin(vmdkErrors, "the disk", virtualSizeBytes, options.maxVirtualSizeBytes);
  requireWithin(vmdkErrors, "the directory", directoryBytes(header), options.maxTableBytes);
  if (part === "whole") await requireOneFile(reader, header);
  const { directory, hasFooter } = header.hasMarkers
    ? await readStreamFooter(reader, header)
    : { directory: header.directory ?? 0, hasFooter: false };
  if (directory === 0) throw vmdkErrors.corrupt("no header says where its tables are");
  if (directory * VMDK_SECTOR_BYTES + directoryBytes(header) > reader.sizeBytes) {
    throw vmdkErrors.truncated("the grain directory lies beyond its end");
  }
  const grains: VmdkGrains = { reader, header, directory, hasFooter };
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const allocated = options.lazy ? undefined : await checkVmdkGrains(grains, options.signal);
  return segmentedDiskImage({
    format: "vmdk",
    virtualSizeBytes,
    allocatedBytes:
      allocated === undefined ? undefined : Math.min(allocated * grainBytes, virtualSizeBytes),
    reader,
    blockBytes: grainBytes,
    warnings: [],
    segments: vmdkSegments(grains),
    check: async (signal) => {
      await checkVmdkGrains(grains, signal);
      for await (const _segments of vmdkSegments(grains)(0, virtualSizeBytes, signal));
    },
  });
}

async function readEmbeddedDescriptor(
  reader: RandomAccessReader,
  header: VmdkHeader,
): Promise<VmdkDescriptor> {
  const { descriptorOffset, descriptorSize } = header;
  if (descriptorOffset === 0 || descriptorSize === 0) {
    throw vmdkErrors.unsafe("it has no descriptor and so is only a part of a disk");
  }
  if (descriptorSize > MAX_DESCRIPTOR_SECTORS) throw vmdkErrors.tooLarge("its descriptor");
  const bytes = await readStructure(
    reader,
    vmdkErrors,
    "the descriptor",
    descriptorOffset * VMDK_SECTOR_BYTES,
    descriptorSize * VMDK_SECTOR_BYTES,
  );
  return parseVmdkDescriptor(bytes);
}

/** @throws ImageError `IMAGE_UNSAFE` unless the descriptor in the image says that it is all there is. */
export async function requireOneFile(
  reader: RandomAccessReader,
  header: VmdkHeader,
): Promise<void> {
  const { createType, extents } = await readEmbeddedDescriptor(reader, header);
  const isSingle = SINGLE_FILE_TYPES.has(createType) && extents.length === 1;
  if (isSingle && extents[0]?.type === "sparse") return;
  throw vmdkErrors.unsafe(`its descriptor of type "${createType.slice(0, 40)}" names other files`);
}

async function openDescriptor(
  reader: RandomAccessReader,
  options: DiskOpenerOptions,
): Promise<DiskImage> {
  requireWithin(vmdkErrors, "the descriptor", reader.sizeBytes, MAX_DESCRIPTOR_BYTES);
  const { createType, extents } = parseVmdkDescriptor(await reader.read(0, reader.sizeBytes));
  if (!MULTI_FILE_TYPES.has(createType) || extents.length === 0) {
    throw vmdkErrors.unsupported(`its type is "${createType.slice(0, 40)}"`);
  }
  if (options.resolveExtent === undefined) {
    throw vmdkErrors.unsafe("it names other files, which only an explicit map may give");
  }
  const sectors = extents.reduce((sum, extent) => sum + extent.sectors, 0);
  requireWithin(vmdkErrors, "the disk", sectors * VMDK_SECTOR_BYTES, options.maxVirtualSizeBytes);
  const parts: (DiskImage | number)[] = [];
  try {
    for (const extent of extents) parts.push(await openExtent(extent, options));
  } catch (error) {
    for (const part of parts) if (typeof part !== "number") await part[Symbol.asyncDispose]();
    throw error;
  }
  return concatenateDisks("vmdk", parts, reader);
}

async function openExtent(
  extent: VmdkExtent,
  options: DiskOpenerOptions,
): Promise<DiskImage | number> {
  const length = extent.sectors * VMDK_SECTOR_BYTES;
  if (extent.type === "zero" || options.resolveExtent === undefined) return length;
  const reader = await options.resolveExtent(extent.name);
  try {
    if (extent.type === "flat") return openFlat(reader, extent, length);
    const image = await openSparse(reader, options, "extent");
    if (image.virtualSizeBytes === length) return image;
    throw vmdkErrors.corrupt(`extent "${extent.name}" has another size than its descriptor says`);
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

function openFlat(reader: RandomAccessReader, extent: VmdkExtent, length: number): DiskImage {
  const hostOffset = extent.offset * VMDK_SECTOR_BYTES;
  if (hostOffset + length > reader.sizeBytes) {
    throw vmdkErrors.truncated(`extent "${extent.name}" is shorter than its descriptor says`);
  }
  return segmentedDiskImage({
    format: "vmdk",
    virtualSizeBytes: length,
    allocatedBytes: length,
    reader,
    blockBytes: VMDK_SECTOR_BYTES,
    warnings: [],
    segments: async function* segments(start, end) {
      if (end > start) {
        yield [{ type: "data", length: end - start, hostOffset: hostOffset + start }];
      }
    },
    check: async () => {},
  });
}
