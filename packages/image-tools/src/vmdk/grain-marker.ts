import { readSafe64LE } from "../disk/read-integer.ts";
import type { VmdkGrains } from "./vmdk-grains.ts";
import { VMDK_SECTOR_BYTES, vmdkErrors } from "./vmdk-header.ts";

const GRAIN_MARKER_BYTES = 12;

// Deflate never makes data much longer.
const MAX_EXPANSION_BYTES = 1024;

/** Where the compressed bytes of a grain lie. */
export interface CompressedGrain {
  readonly offset: number;
  readonly bytes: number;
}

/** Reads the marker at `sector`, which must be that of the grain at `diskSector` of the disk. */
export async function readGrainMarker(
  { reader, header }: VmdkGrains,
  sector: number,
  diskSector: number,
): Promise<CompressedGrain> {
  const at = sector * VMDK_SECTOR_BYTES;
  if (at + GRAIN_MARKER_BYTES > reader.sizeBytes) {
    throw vmdkErrors.truncated(`the grain at sector ${sector} lies beyond its end`);
  }
  const marker = await reader.read(at, GRAIN_MARKER_BYTES);
  const bytes = marker.readUInt32LE(8);
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const isPlausible = bytes > 0 && bytes <= grainBytes + grainBytes / 8 + MAX_EXPANSION_BYTES;
  if (!isPlausible || readSafe64LE(marker, 0) !== diskSector) {
    throw vmdkErrors.corrupt(`the marker of the grain at sector ${sector} is wrong`);
  }
  const offset = at + GRAIN_MARKER_BYTES;
  if (offset + bytes > reader.sizeBytes) {
    throw vmdkErrors.truncated(`the grain at sector ${sector} lies beyond its end`);
  }
  return { offset, bytes };
}
