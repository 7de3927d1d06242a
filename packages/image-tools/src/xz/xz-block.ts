import { nodeZlib } from "../lazy-builtins.ts";
import { isXzCheck, xzCheckBytes, type XzCheck } from "./xz-check.ts";
import { XZ_MEMORY_LIMIT_BYTES, xzCorrupt, xzTooLarge } from "./xz-error.ts";
import { XzFields } from "./xz-fields.ts";
import type { XzRecord } from "./xz-streams.ts";

/** Length of the longest header that a block can have. */
export const MAX_BLOCK_HEADER_BYTES = 1024;

const HAS_STORED_SIZE = 0x40;
const HAS_CONTENT_SIZE = 0x80;
const FILTER_COUNT_MASK = 0x03;
const RESERVED_FLAGS = 0x3c;
const LZMA2 = 0x21;
const MAX_DICTIONARY_CODE = 40;

/** A block that is compressed with LZMA2 and nothing else. */
export interface XzBlock {
  /** Where its compressed data begins in the file. */
  readonly dataOffset: number;
  readonly dataBytes: number;
  readonly contentBytes: number;
  readonly dictionaryBytes: number;
  readonly check: XzCheck;
}

/** What {@link parseXzBlock} is told of a block. */
export interface XzBlockInput {
  /** The beginning of the block, at least as much as its header. */
  readonly head: Buffer;
  /** Where the block begins in the file. */
  readonly offset: number;
  readonly record: XzRecord;
  /** What the stream says about checks. */
  readonly check: number;
}

/**
 * Reads the header of a block and compares it with the index. `undefined` for a block that needs
 * more than LZMA2 to decode.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TOO_LARGE`.
 * @see The .xz File Format 1.2.1, section 3.1
 */
export function parseXzBlock({ head, offset, record, check }: XzBlockInput): XzBlock | undefined {
  const headerBytes = ((head[0] as number) + 1) * 4;
  if (head[0] === 0 || headerBytes > head.length) throw xzCorrupt("a block has no header");
  const header = head.subarray(0, headerBytes - 4);
  if (nodeZlib().crc32(header) !== head.readUInt32LE(headerBytes - 4)) {
    throw xzCorrupt("the checksum of a block's header is wrong");
  }
  const flags = header[1] as number;
  if ((flags & RESERVED_FLAGS) !== 0 || !isXzCheck(check)) return undefined;
  const dataBytes = record.unpaddedBytes - headerBytes - xzCheckBytes(check);
  const fields = new XzFields(header, 2);
  const storedBytes = (flags & HAS_STORED_SIZE) === 0 ? dataBytes : fields.integer();
  const { contentBytes } = record;
  const claimedBytes = (flags & HAS_CONTENT_SIZE) === 0 ? contentBytes : fields.integer();
  if (dataBytes < 1 || storedBytes !== dataBytes || claimedBytes !== contentBytes) {
    throw xzCorrupt("a block and the index contradict each other");
  }
  if ((flags & FILTER_COUNT_MASK) !== 0 || fields.integer() !== LZMA2) return undefined;
  const propertyBytes = fields.integer();
  const dictionaryCode = fields.byte();
  if (propertyBytes !== 1 || dictionaryCode > MAX_DICTIONARY_CODE) return undefined;
  fields.requirePadding(headerBytes);
  // Content can only refer to itself.
  const dictionaryBytes = Math.min(dictionarySize(dictionaryCode), Math.max(1, contentBytes));
  if (dictionarySize(dictionaryCode) > XZ_MEMORY_LIMIT_BYTES) throw xzTooLarge();
  return { dataOffset: offset + headerBytes, dataBytes, contentBytes, dictionaryBytes, check };
}

function dictionarySize(code: number): number {
  if (code === MAX_DICTIONARY_CODE) return 2 ** 32 - 1;
  return (2 + (code % 2)) * 2 ** (Math.floor(code / 2) + 11);
}
