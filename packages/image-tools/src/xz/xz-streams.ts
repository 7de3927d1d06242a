import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { nodeZlib } from "../lazy-builtins.ts";
import { xzCorrupt, xzTruncated } from "./xz-error.ts";
import { XzFields } from "./xz-fields.ts";

/** Length of the header of a stream, and of its footer. */
export const XZ_HEADER_BYTES = 12;

const MAX_STREAMS = 1000;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MIN_BLOCK_BYTES = 5;
const PAGE_BYTES = 4096;

/** One stream of an xz file, by its end. */
export interface XzStream {
  /** Where the stream begins in the file. */
  readonly start: number;
  /** Flags of the stream, the second of which names its check. */
  readonly flags: Buffer;
  /** The blocks of the stream in order: their length without padding, and that of their content. */
  readonly records: () => Generator<XzRecord, void, void>;
  readonly recordCount: number;
  readonly contentBytes: number;
}

/** What an index says of a block. */
export interface XzRecord {
  readonly unpaddedBytes: number;
  readonly contentBytes: number;
}

/**
 * The streams of an xz file, the last one first, by their indexes, which are read from the end of
 * the file backwards.
 *
 * @throws ImageError `IMAGE_TRUNCATED` when the file does not end as xz files do, `IMAGE_CORRUPT`,
 * `IMAGE_TOO_LARGE` for an index over 16 MiB.
 * @see The .xz File Format 1.2.1, sections 2.1.2 and 4
 */
export async function* xzStreams(reader: RandomAccessReader): AsyncGenerator<XzStream, void, void> {
  let end = reader.sizeBytes;
  for (let streams = 0; end > 0; streams += 1) {
    end = await skipPadding(reader, end);
    if (end < 2 * XZ_HEADER_BYTES) throw xzTruncated();
    if (streams === MAX_STREAMS) {
      throw new ImageError("IMAGE_TOO_LARGE", `the xz file has over ${MAX_STREAMS} streams`);
    }
    const footer = await reader.read(end - XZ_HEADER_BYTES, XZ_HEADER_BYTES);
    if (footer.toString("latin1", 10) !== "YZ") throw xzTruncated();
    if (nodeZlib().crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) {
      throw xzCorrupt("the checksum of a footer is wrong");
    }
    const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
    const indexStart = end - XZ_HEADER_BYTES - indexBytes;
    if (indexStart < XZ_HEADER_BYTES) throw xzCorrupt("an index is longer than the file");
    if (indexBytes > MAX_INDEX_BYTES) {
      throw new ImageError("IMAGE_TOO_LARGE", `the xz file has an index of ${indexBytes} bytes`);
    }
    const index = await reader.read(indexStart, indexBytes);
    const { recordCount, contentBytes, storedBytes } = checkIndex(index);
    const start = indexStart - storedBytes - XZ_HEADER_BYTES;
    if (start < 0) throw xzCorrupt("its blocks are longer than the file");
    const flags = footer.subarray(8, 10);
    yield { start, flags, records: () => recordsOf(index), recordCount, contentBytes };
    end = start;
  }
}

/** Length of what an xz file holds. Throws as {@link xzStreams} does. */
export async function xzContentSize(reader: RandomAccessReader): Promise<number> {
  let total = 0;
  for await (const { contentBytes } of xzStreams(reader)) {
    total += contentBytes;
    if (!Number.isSafeInteger(total)) throw xzCorrupt("its content is absurdly long");
  }
  return total;
}

/** Length of a block with its padding. */
export function paddedBytes(unpaddedBytes: number): number {
  return Math.ceil(unpaddedBytes / 4) * 4;
}

async function skipPadding(reader: RandomAccessReader, end: number): Promise<number> {
  for (let position = end; position > 0;) {
    const start = Math.max(0, position - PAGE_BYTES);
    const page = await reader.read(start, position - start);
    const last = page.findLastIndex((byte) => byte !== 0);
    if (last === -1) {
      position = start;
      continue;
    }
    const padding = end - (start + last + 1);
    if (padding % 4 !== 0) throw xzCorrupt("the padding behind a stream has an odd length");
    return start + last + 1;
  }
  throw xzCorrupt("it holds nothing but zeros");
}

interface IndexSummary {
  readonly recordCount: number;
  readonly storedBytes: number;
  readonly contentBytes: number;
}

function checkIndex(index: Buffer): IndexSummary {
  const checksumAt = index.length - 4;
  const checksum = nodeZlib().crc32(index.subarray(0, checksumAt));
  if (index[0] !== 0 || checksum !== index.readUInt32LE(checksumAt)) {
    throw xzCorrupt("the checksum of an index is wrong");
  }
  let recordCount = 0;
  let storedBytes = 0;
  let contentBytes = 0;
  for (const record of recordsOf(index)) {
    recordCount += 1;
    storedBytes += paddedBytes(record.unpaddedBytes);
    contentBytes += record.contentBytes;
    if (record.unpaddedBytes < MIN_BLOCK_BYTES) throw xzCorrupt("a block is too short");
  }
  if (!Number.isSafeInteger(storedBytes) || !Number.isSafeInteger(contentBytes)) {
    throw xzCorrupt("its content is absurdly long");
  }
  return { recordCount, storedBytes, contentBytes };
}

function* recordsOf(index: Buffer): Generator<XzRecord, void, void> {
  const fields = new XzFields(index.subarray(0, -4), 1);
  const count = fields.integer();
  for (let record = 0; record < count; record += 1) {
    yield { unpaddedBytes: fields.integer(), contentBytes: fields.integer() };
  }
  fields.requirePadding(3);
}
