import { hasBytesAt } from "../detect/detector.ts";
import { formatErrors, readStructure, type FormatErrors } from "../disk/disk-opener.ts";
import { readSafe64LE } from "../disk/read-integer.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { hasValidCrc32c } from "./crc32c.ts";

/** Errors of this format. */
export const vhdxErrors: FormatErrors = formatErrors("vhdx");

/** All regions and blocks of a VHDX begin at multiples of this. */
export const VHDX_ALIGNMENT: number = 1024 * 1024;

const HEADER_OFFSETS = [64 * 1024, 128 * 1024];
const HEADER_BYTES = 4096;
const REGION_TABLE_OFFSETS = [192 * 1024, 256 * 1024];
const REGION_TABLE_BYTES = 64 * 1024;
const MAX_REGIONS = 2047;
const ENTRY_BYTES = 32;
/** Size of a GUID. */
export const GUID_BYTES = 16;

const BLOCK_TABLE_REGION = "2dc27766-f623-4200-9d64-115e9bfd4a08";
const METADATA_REGION = "8b7ca206-4790-4b9a-b8fe-575f050f886e";

/** A part of the file. */
export interface VhdxRegion {
  readonly offset: number;
  readonly length: number;
}

/** Where the parts of a VHDX lie. */
export interface VhdxRegions {
  readonly blockTable: VhdxRegion;
  readonly metadata: VhdxRegion;
}

/** What the current header of a VHDX says of its log. */
export interface VhdxLogHeader {
  readonly region: VhdxRegion;
  /** GUID of the entries that have to be replayed; `undefined` where the disk was closed. */
  readonly guid: Buffer | undefined;
}

/** A GUID as text; its first three fields are stored little-endian. */
export function readGuid(bytes: Buffer, at: number): string {
  const guid = Buffer.from(bytes.subarray(at, at + GUID_BYTES));
  guid.subarray(0, 4).reverse();
  guid.subarray(4, 6).reverse();
  guid.subarray(6, 8).reverse();
  return guid.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * Reads the region tables of a VHDX, which must not overlap its log.
 *
 * @see [MS-VHDX], section 2.2.3
 */
export async function readVhdxRegions(
  reader: RandomAccessReader,
  log: VhdxRegion,
): Promise<VhdxRegions> {
  const regions = await readRegionTable(reader);
  const blockTable = regions.get(BLOCK_TABLE_REGION);
  const metadata = regions.get(METADATA_REGION);
  if (blockTable === undefined || metadata === undefined) {
    throw vhdxErrors.corrupt("its block table or metadata is missing");
  }
  const all = [log, blockTable, metadata].toSorted((left, right) => left.offset - right.offset);
  for (const [index, region] of all.entries()) {
    requireRegion(reader, region);
    const previous = all[index - 1];
    if (previous !== undefined && previous.offset + previous.length > region.offset) {
      throw vhdxErrors.corrupt("its regions overlap");
    }
  }
  return { blockTable, metadata };
}

function requireRegion(reader: RandomAccessReader, { offset, length }: VhdxRegion): void {
  if (length === 0) return;
  if (offset < VHDX_ALIGNMENT || offset % VHDX_ALIGNMENT !== 0) {
    throw vhdxErrors.corrupt("a region is not aligned to 1 MiB");
  }
  if (offset + length > reader.sizeBytes) {
    throw vhdxErrors.truncated("a region lies beyond its end");
  }
}

/**
 * Reads the headers of a VHDX; the one with the higher sequence number counts.
 *
 * @see [MS-VHDX], section 2.2.2
 */
export async function readVhdxLogHeader(reader: RandomAccessReader): Promise<VhdxLogHeader> {
  let newest: { readonly sequence: number; readonly bytes: Buffer } | undefined;
  for (const offset of HEADER_OFFSETS) {
    const bytes = await readStructure(reader, vhdxErrors, "a header", offset, HEADER_BYTES);
    if (!hasBytesAt(bytes, 0, "head") || !hasValidCrc32c(bytes, 4)) continue;
    const sequence = Number(bytes.readBigUInt64LE(8));
    if (newest === undefined || sequence > newest.sequence) newest = { sequence, bytes };
  }
  if (newest === undefined) throw vhdxErrors.corrupt("both of its headers are damaged");
  const { bytes } = newest;
  if (bytes.readUInt16LE(66) !== 1) throw vhdxErrors.unsupported("its version is not 1");
  const region = { offset: readSafe64LE(bytes, 72), length: bytes.readUInt32LE(68) };
  requireRegion(reader, region);
  const guid = bytes.subarray(48, 48 + GUID_BYTES);
  return { region, guid: guid.every((byte) => byte === 0) ? undefined : guid };
}

async function readRegionTable(reader: RandomAccessReader): Promise<Map<string, VhdxRegion>> {
  for (const offset of REGION_TABLE_OFFSETS) {
    const table = await readStructure(
      reader,
      vhdxErrors,
      "a region table",
      offset,
      REGION_TABLE_BYTES,
    );
    if (hasBytesAt(table, 0, "regi") && hasValidCrc32c(table, 4)) return parseRegions(table);
  }
  throw vhdxErrors.corrupt("both of its region tables are damaged");
}

function parseRegions(table: Buffer): Map<string, VhdxRegion> {
  const count = table.readUInt32LE(8);
  if (count > MAX_REGIONS) throw vhdxErrors.corrupt(`it has ${count} regions`);
  const regions = new Map<string, VhdxRegion>();
  for (let index = 0; index < count; index += 1) {
    const at = 16 + index * ENTRY_BYTES;
    const guid = readGuid(table, at);
    const isKnown = guid === BLOCK_TABLE_REGION || guid === METADATA_REGION;
    if (!isKnown && (table.readUInt32LE(at + 28) & 1) !== 0) {
      throw vhdxErrors.unsupported(`it needs the unknown region ${guid}`);
    }
    if (regions.has(guid)) throw vhdxErrors.corrupt(`it has region ${guid} twice`);
    regions.set(guid, {
      offset: readSafe64LE(table, at + 16),
      length: table.readUInt32LE(at + 24),
    });
  }
  return regions;
}
