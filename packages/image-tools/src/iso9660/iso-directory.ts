import {
  ISO_SECTOR_BYTES,
  recordDate,
  sectorsFor,
  writeBoth16,
  writeBoth32,
} from "./iso-fields.ts";

const DIRECTORY_FLAG = 0x02;

/** One record of a directory. */
export interface IsoDirectoryRecord {
  readonly identifier: Buffer;
  readonly sector: number;
  readonly bytes: number;
  readonly isDirectory: boolean;
  readonly systemUse: Buffer;
}

/** Writes one directory record. @see ECMA-119, section 9.1 */
export function directoryRecord(record: IsoDirectoryRecord, date: Date): Buffer {
  const identifierEnd = 33 + record.identifier.length;
  const systemUseStart = identifierEnd + (identifierEnd % 2);
  const length = systemUseStart + record.systemUse.length;
  const target = Buffer.alloc(length + (length % 2));
  target.writeUInt8(target.length, 0);
  writeBoth32(target, 2, record.sector);
  writeBoth32(target, 10, record.bytes);
  recordDate(date).copy(target, 18);
  target.writeUInt8(record.isDirectory ? DIRECTORY_FLAG : 0, 25);
  writeBoth16(target, 28, 1);
  target.writeUInt8(record.identifier.length, 32);
  record.identifier.copy(target, 33);
  record.systemUse.copy(target, systemUseStart);
  return target;
}

/** Lays records out in whole sectors; none crosses a sector boundary. */
export function layOutDirectory(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let position = 0;
  for (const record of records) {
    const room = ISO_SECTOR_BYTES - (position % ISO_SECTOR_BYTES);
    if (record.length > room) {
      parts.push(Buffer.alloc(room));
      position += room;
    }
    parts.push(record);
    position += record.length;
  }
  const end = sectorsFor(position) * ISO_SECTOR_BYTES;
  return Buffer.concat(parts, end);
}

/** The path table of a volume with a root directory only. @see ECMA-119, section 9.4 */
export function rootPathTable(rootSector: number, byteOrder: "little" | "big"): Buffer {
  const table = Buffer.alloc(10);
  table.writeUInt8(1, 0);
  if (byteOrder === "little") {
    table.writeUInt32LE(rootSector, 2);
    table.writeUInt16LE(1, 6);
  } else {
    table.writeUInt32BE(rootSector, 2);
    table.writeUInt16BE(1, 6);
  }
  return table;
}
