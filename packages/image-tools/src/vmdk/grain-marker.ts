import { readSafe64LE } from "../disk/read-integer.ts";
import type { ImageError } from "../image-error.ts";
import type { VmdkGrains } from "./vmdk-grains.ts";
import { VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "./vmdk-header.ts";

/** Size of the marker in front of a compressed grain. */
export const GRAIN_MARKER_BYTES = 12;

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
  const { bytes, firstSector } = parseGrainMarker(marker, header, sector);
  if (firstSector !== diskSector) throw wrongMarker(sector);
  const offset = at + GRAIN_MARKER_BYTES;
  if (offset + bytes > reader.sizeBytes) {
    throw vmdkErrors.truncated(`the grain at sector ${sector} lies beyond its end`);
  }
  return { offset, bytes };
}

/** What the marker in front of a compressed grain says. */
export interface GrainMarker {
  /** Where the grain begins on the disk. */
  readonly firstSector: number;
  /** Length of the compressed bytes behind the marker. */
  readonly bytes: number;
}

/** Reads a marker from the first bytes at `sector` of the file. */
export function parseGrainMarker(marker: Buffer, header: VmdkHeader, sector: number): GrainMarker {
  const bytes = marker.readUInt32LE(8);
  const firstSector = readSafe64LE(marker, 0);
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const isPlausible =
    bytes > 0 &&
    bytes <= grainBytes + grainBytes / 8 + MAX_EXPANSION_BYTES &&
    firstSector % header.grain === 0 &&
    firstSector < header.capacity;
  if (!isPlausible) throw wrongMarker(sector);
  return { firstSector, bytes };
}

function wrongMarker(sector: number): ImageError {
  return vmdkErrors.corrupt(`the marker of the grain at sector ${sector} is wrong`);
}
