import { hasBytesAt } from "../detect/detector.ts";
import { isPowerOfTwo, readSafe64LE } from "../disk/read-integer.ts";
import { readGuid, vhdxErrors } from "./vhdx-regions.ts";

const TABLE_BYTES = 64 * 1024;
const MAX_ITEMS = 2047;
const ENTRY_BYTES = 32;
const FLAG_REQUIRED = 4;

const FILE_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b";
const VIRTUAL_DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8";
const LOGICAL_SECTOR_SIZE = "8141bf1d-a96f-4709-ba47-f233a8faab5f";
const PARENT_LOCATOR = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c";
const HARMLESS = new Set([
  "cda348c7-445d-4471-9cc9-e9885251c556",
  "beca12ab-b2e6-4523-93ef-c309e000c746",
]);

const HAS_PARENT = 2;
const MAX_BLOCK_BYTES = 256 * 1024 * 1024;
const MAX_DISK_BYTES = 64 * 2 ** 40;

/** What the metadata of a VHDX says about its disk. */
export interface VhdxMetadata {
  readonly virtualSizeBytes: number;
  readonly blockBytes: number;
  readonly logicalSectorBytes: number;
}

/**
 * Reads the metadata region.
 *
 * @see [MS-VHDX], section 2.6
 */
export function parseVhdxMetadata(region: Buffer): VhdxMetadata {
  const items = readItems(region);
  if (items.has(PARENT_LOCATOR)) throw hasParent();
  const parameters = requireItem(items, FILE_PARAMETERS, 8);
  if ((parameters.readUInt32LE(4) & HAS_PARENT) !== 0) throw hasParent();
  const blockBytes = parameters.readUInt32LE(0);
  if (!isPowerOfTwo(blockBytes, 1024 * 1024, MAX_BLOCK_BYTES)) {
    throw vhdxErrors.corrupt(`its block size is ${blockBytes}`);
  }
  const logicalSectorBytes = requireItem(items, LOGICAL_SECTOR_SIZE, 4).readUInt32LE(0);
  if (logicalSectorBytes !== 512 && logicalSectorBytes !== 4096) {
    throw vhdxErrors.corrupt(`its sector size is ${logicalSectorBytes}`);
  }
  const virtualSizeBytes = readSafe64LE(requireItem(items, VIRTUAL_DISK_SIZE, 8), 0);
  if (virtualSizeBytes > MAX_DISK_BYTES) throw vhdxErrors.tooLarge("the format ends at 64 TiB");
  if (virtualSizeBytes % logicalSectorBytes !== 0) {
    throw vhdxErrors.corrupt("the size of the disk is not a multiple of its sectors");
  }
  return { virtualSizeBytes, blockBytes, logicalSectorBytes };
}

function readItems(region: Buffer): Map<string, Buffer> {
  if (region.length < TABLE_BYTES || !hasBytesAt(region, 0, "metadata")) {
    throw vhdxErrors.corrupt("its metadata table is missing");
  }
  const count = region.readUInt16LE(10);
  if (count > MAX_ITEMS) throw vhdxErrors.corrupt(`it has ${count} metadata items`);
  const items = new Map<string, Buffer>();
  for (let index = 0; index < count; index += 1) {
    const at = ENTRY_BYTES + index * ENTRY_BYTES;
    const guid = readGuid(region, at);
    const offset = region.readUInt32LE(at + 16);
    const length = region.readUInt32LE(at + 20);
    const isRequired = (region.readUInt32LE(at + 24) & FLAG_REQUIRED) !== 0;
    if (isRequired && !isKnown(guid)) {
      throw vhdxErrors.unsupported(`it needs the unknown metadata item ${guid}`);
    }
    if (length > 0 && (offset < TABLE_BYTES || offset + length > region.length)) {
      throw vhdxErrors.corrupt("a metadata item lies outside of its region");
    }
    if (items.has(guid)) throw vhdxErrors.corrupt(`it has metadata item ${guid} twice`);
    items.set(guid, region.subarray(offset, offset + length));
  }
  return items;
}

function isKnown(guid: string): boolean {
  const needed = [FILE_PARAMETERS, VIRTUAL_DISK_SIZE, LOGICAL_SECTOR_SIZE, PARENT_LOCATOR];
  return needed.includes(guid) || HARMLESS.has(guid);
}

function requireItem(items: Map<string, Buffer>, guid: string, bytes: number): Buffer {
  const item = items.get(guid);
  if (item === undefined || item.length < bytes) {
    throw vhdxErrors.corrupt(`metadata item ${guid} is missing`);
  }
  return item;
}

function hasParent(): Error {
  return vhdxErrors.unsafe("it holds only the differences to another image; merge them first");
}
