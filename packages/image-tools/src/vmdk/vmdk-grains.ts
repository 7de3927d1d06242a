import { ByteCache } from "../disk/byte-cache.ts";
import type { DiskSegment } from "../disk/disk-segment.ts";
import { ExtentClaims } from "../disk/extent-claims.ts";
import { joinSegments } from "../disk/join-segments.ts";
import type { SegmentedDisk } from "../disk/segmented-disk-image.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { readGrainMarker } from "./grain-marker.ts";
import { requireStreamEnd } from "./stream-footer.ts";
import { VMDK_SECTOR_BYTES, vmdkErrors, type VmdkHeader } from "./vmdk-header.ts";

const TABLE_CACHE_BYTES = 4 * 1024 * 1024;
const MIN_SECTOR_OF_DATA = 1;
const ZERO_GRAIN = 1;

/** The two levels of tables of a sparse extent. */
export interface VmdkGrains {
  readonly reader: RandomAccessReader;
  readonly header: VmdkHeader;
  /** Sector of the grain directory. */
  readonly directory: number;
  /** Whether the file ends with a footer and an end-of-stream marker. */
  readonly hasFooter: boolean;
}

/** Number of bytes of the grain directory. */
export function directoryBytes({ capacity, grain, tableEntries }: VmdkHeader): number {
  return Math.ceil(capacity / (grain * tableEntries)) * 4;
}

/** Segments of the extent; the markers of compressed grains are read and checked. */
export function vmdkSegments(grains: VmdkGrains): SegmentedDisk["segments"] {
  const { reader, header } = grains;
  const tables = new ByteCache(TABLE_CACHE_BYTES);
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const tableCoverage = grainBytes * header.tableEntries;
  const directoryOffset = grains.directory * VMDK_SECTOR_BYTES;

  return async function* segments(start, end, signal) {
    const bytes = directoryBytes(header);
    const entries = await tables.get(-1, () => reader.read(directoryOffset, bytes));
    let position = start;
    while (position < end) {
      signal?.throwIfAborted();
      const index = Math.floor(position / tableCoverage);
      const stop = Math.min((index + 1) * tableCoverage, end);
      const sector = entries.readUInt32LE(index * 4);
      if (sector === 0) {
        yield [{ type: "hole", length: stop - position }];
      } else {
        const table = await tables.get(index, () => readTable(grains, sector));
        yield await readTableSegments(grains, table, position, stop);
      }
      position = stop;
    }
  };
}

/** Checks all tables, and that the last compressed grain of the file is whole. */
export async function checkVmdkGrains(
  grains: VmdkGrains,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { reader, header } = grains;
  const tableSectors = Math.ceil((header.tableEntries * 4) / VMDK_SECTOR_BYTES);
  const claims = new ExtentClaims(vmdkErrors, tableSectors, header.isCompressed ? 1 : header.grain);
  const bytes = directoryBytes(header);
  claims.claimFixed(0, MIN_SECTOR_OF_DATA);
  claims.claimFixed(header.descriptorOffset, header.descriptorSize);
  claims.claimFixed(grains.directory, Math.ceil(bytes / VMDK_SECTOR_BYTES));
  const entries = await reader.read(grains.directory * VMDK_SECTOR_BYTES, bytes);
  const allGrains = Math.ceil(header.capacity / header.grain);
  let allocated = 0;
  let last = { sector: 0, grain: 0 };
  for (let index = 0; index * 4 < bytes; index += 1) {
    const sector = entries.readUInt32LE(index * 4);
    if (sector === 0) continue;
    signal?.throwIfAborted();
    claims.claimTable(sector);
    const table = await readTable(grains, sector);
    const first = index * header.tableEntries;
    const count = Math.min(header.tableEntries, allGrains - first);
    for (let at = 0; at < count; at += 1) {
      const start = dataSector(grains, table.readUInt32LE(at * 4));
      if (start === undefined) continue;
      claims.claimBlock(start);
      allocated += 1;
      if (start > last.sector) last = { sector: start, grain: first + at };
    }
  }
  claims.refuseOverlaps();
  if (header.isCompressed && allocated > 0) {
    const { offset, bytes: length } = await readGrainMarker(
      grains,
      last.sector,
      last.grain * header.grain,
    );
    if (header.hasMarkers && !grains.hasFooter) {
      await requireStreamEnd(reader, header, last.sector * VMDK_SECTOR_BYTES, offset + length);
    }
  }
  return allocated;
}

async function readTable({ reader, header }: VmdkGrains, sector: number): Promise<Buffer> {
  const offset = sector * VMDK_SECTOR_BYTES;
  const length = header.tableEntries * 4;
  if (offset + length > reader.sizeBytes) {
    throw vmdkErrors.truncated(`the grain table at byte ${offset} lies beyond its end`);
  }
  return reader.read(offset, length);
}

function dataSector({ reader, header }: VmdkGrains, entry: number): number | undefined {
  if (entry === 0) return undefined;
  if (entry === ZERO_GRAIN) {
    if (header.hasZeroGrains) return undefined;
    throw vmdkErrors.corrupt("a grain lies in the descriptor");
  }
  // A compressed grain is as long as its marker says.
  const sectors = header.isCompressed ? 1 : header.grain;
  if ((entry + sectors) * VMDK_SECTOR_BYTES > reader.sizeBytes) {
    throw vmdkErrors.truncated(`the grain at sector ${entry} lies beyond its end`);
  }
  return entry;
}

async function readTableSegments(
  grains: VmdkGrains,
  table: Buffer,
  start: number,
  end: number,
): Promise<readonly DiskSegment[]> {
  const { header } = grains;
  const grainBytes = header.grain * VMDK_SECTOR_BYTES;
  const segments: DiskSegment[] = [];
  // All entries are looked at before the first marker is read, so that no read is left behind.
  const grainsToRead: { index: number; sector: number; position: number; length: number }[] = [];
  for (let position = start; position < end; position += grainBytes) {
    const at = (position / grainBytes) % header.tableEntries;
    const length = Math.min(grainBytes, end - position);
    const sector = dataSector(grains, table.readUInt32LE(at * 4));
    if (sector === undefined) {
      segments.push({ type: "hole", length });
      continue;
    }
    if (header.isCompressed)
      grainsToRead.push({ index: segments.length, sector, position, length });
    segments.push({ type: "data", length, hostOffset: sector * VMDK_SECTOR_BYTES });
  }
  await Promise.all(
    grainsToRead.map(async ({ index, sector, position, length }) => {
      const diskSector = position / VMDK_SECTOR_BYTES;
      segments[index] = await compressedSegment(grains, sector, diskSector, length);
    }),
  );
  return joinSegments(segments);
}

async function compressedSegment(
  grains: VmdkGrains,
  sector: number,
  diskSector: number,
  length: number,
): Promise<DiskSegment> {
  const { offset, bytes } = await readGrainMarker(grains, sector, diskSector);
  return {
    type: "compressed",
    length,
    hostOffset: offset,
    hostLength: bytes,
    codec: "zlib",
    blockBytes: grains.header.grain * VMDK_SECTOR_BYTES,
  };
}
