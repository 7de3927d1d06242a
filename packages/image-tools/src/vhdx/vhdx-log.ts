import { hasBytesAt } from "../detect/detector.ts";
import { readSafe64LE } from "../disk/read-integer.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { hasValidCrc32c } from "./crc32c.ts";
import type { FileChange } from "./overlay-reader.ts";
import { GUID_BYTES, vhdxErrors, type VhdxRegion } from "./vhdx-regions.ts";

const SECTOR_BYTES = 4096;
const MAX_LOG_BYTES = 32 * 1024 * 1024;
const ENTRY_HEADER_BYTES = 64;
const DESCRIPTOR_BYTES = 32;
const LEADING_BYTES = 8;
const TRAILING_BYTES = 4;

interface LogEntry {
  readonly offset: number;
  readonly bytes: Buffer;
  readonly sequence: bigint;
  /** Where the oldest entry that still has to be replayed lies in the log. */
  readonly tail: number;
}

/** What replaying a log changes. */
export interface LogReplay {
  readonly changes: readonly FileChange[];
  /** The size that the file must have when all changes are made. */
  readonly fileBytes: number;
}

/**
 * Reads the log of a VHDX that was not closed: what its newest complete sequence of entries changes
 * in the file. Nothing is written.
 *
 * @see [MS-VHDX], section 2.3
 */
export async function readVhdxLog(
  reader: RandomAccessReader,
  region: VhdxRegion,
  guid: Buffer,
): Promise<LogReplay> {
  if (region.length > MAX_LOG_BYTES) throw vhdxErrors.tooLarge("its log");
  if (region.length === 0 || region.length % SECTOR_BYTES !== 0) {
    throw vhdxErrors.corrupt("the size of its log is not a multiple of 4096 bytes");
  }
  const log = await reader.read(region.offset, region.length);
  const sequence = findActiveSequence(log, guid);
  const newest = sequence.at(-1);
  if (newest === undefined) throw vhdxErrors.corrupt("its log has no complete entry");
  if (readSafe64LE(newest.bytes, 48) > reader.sizeBytes) {
    throw vhdxErrors.truncated("its log was written for a longer file");
  }
  const changes = sequence.flatMap((entry) => readChanges(entry));
  const fileBytes = Math.max(reader.sizeBytes, readSafe64LE(newest.bytes, 56));
  if (!Number.isFinite(fileBytes)) throw vhdxErrors.corrupt("its log names an impossible size");
  return { changes, fileBytes };
}

/** The entries of the newest sequence that is whole, oldest first. */
function findActiveSequence(log: Buffer, guid: Buffer): readonly LogEntry[] {
  const entries = new Map<number, LogEntry>();
  for (let offset = 0; offset < log.length; offset += SECTOR_BYTES) {
    const entry = readEntry(log, offset, guid);
    if (entry !== undefined) entries.set(offset, entry);
  }
  let newest: readonly LogEntry[] = [];
  for (const head of entries.values()) {
    const isNewer = head.sequence > (newest.at(-1)?.sequence ?? -1n);
    const sequence = isNewer ? followSequence(entries, head, log.length) : undefined;
    if (sequence !== undefined) newest = sequence;
  }
  return newest;
}

/** From the tail of `head` to `head` itself; `undefined` when an entry in between is missing. */
function followSequence(
  entries: ReadonlyMap<number, LogEntry>,
  head: LogEntry,
  logBytes: number,
): readonly LogEntry[] | undefined {
  const sequence: LogEntry[] = [];
  let offset = head.tail;
  let previous: LogEntry | undefined;
  while (sequence.length <= entries.size) {
    const entry = entries.get(offset);
    if (entry === undefined) return undefined;
    if (previous !== undefined && entry.sequence !== previous.sequence + 1n) return undefined;
    sequence.push(entry);
    if (entry === head) return sequence;
    previous = entry;
    offset = (offset + entry.bytes.length) % logBytes;
  }
  return undefined;
}

function readEntry(log: Buffer, offset: number, guid: Buffer): LogEntry | undefined {
  if (!hasBytesAt(log, offset, "loge")) return undefined;
  const length = log.readUInt32LE(offset + 8);
  if (length < SECTOR_BYTES || length % SECTOR_BYTES !== 0 || length > log.length) return undefined;
  const end = offset + length;
  // The log is a ring.
  const bytes =
    end <= log.length
      ? log.subarray(offset, end)
      : Buffer.concat([log.subarray(offset), log.subarray(0, end - log.length)]);
  const isOwn = bytes.subarray(32, 32 + GUID_BYTES).equals(guid);
  if (!isOwn || !hasValidCrc32c(bytes, 4)) return undefined;
  return { offset, bytes, sequence: bytes.readBigUInt64LE(16), tail: bytes.readUInt32LE(12) };
}

function readChanges({ bytes, sequence }: LogEntry): FileChange[] {
  const count = bytes.readUInt32LE(24);
  const headerBytes =
    Math.ceil((ENTRY_HEADER_BYTES + count * DESCRIPTOR_BYTES) / SECTOR_BYTES) * SECTOR_BYTES;
  if (headerBytes > bytes.length) throw vhdxErrors.corrupt("an entry of its log is too short");
  const changes: FileChange[] = [];
  let dataAt = headerBytes;
  for (let index = 0; index < count; index += 1) {
    const at = ENTRY_HEADER_BYTES + index * DESCRIPTOR_BYTES;
    const offset = readSafe64LE(bytes, at + 16);
    if (bytes.readBigUInt64LE(at + 24) !== sequence || !Number.isFinite(offset)) {
      throw vhdxErrors.corrupt("a descriptor of its log is wrong");
    }
    if (hasBytesAt(bytes, at, "zero")) {
      changes.push({ offset, length: readSafe64LE(bytes, at + 8), bytes: undefined });
    } else if (hasBytesAt(bytes, at, "desc") && dataAt + SECTOR_BYTES <= bytes.length) {
      changes.push({
        offset,
        length: SECTOR_BYTES,
        bytes: readSector(bytes, at, dataAt, sequence),
      });
      dataAt += SECTOR_BYTES;
    } else {
      throw vhdxErrors.corrupt("a descriptor of its log is unknown");
    }
  }
  return changes;
}

/** A logged sector; its first eight and last four bytes are kept in the descriptor. */
function readSector(bytes: Buffer, descriptor: number, at: number, sequence: bigint): Buffer {
  const high = BigInt(bytes.readUInt32LE(at + 4));
  const low = BigInt(bytes.readUInt32LE(at + SECTOR_BYTES - 4));
  if (!hasBytesAt(bytes, at, "data") || ((high << 32n) | low) !== sequence) {
    throw vhdxErrors.corrupt("a data sector of its log is wrong");
  }
  const sector = Buffer.from(bytes.subarray(at, at + SECTOR_BYTES));
  bytes.copy(sector, 0, descriptor + 8, descriptor + 8 + LEADING_BYTES);
  bytes.copy(
    sector,
    SECTOR_BYTES - TRAILING_BYTES,
    descriptor + 4,
    descriptor + 4 + TRAILING_BYTES,
  );
  return sector;
}
