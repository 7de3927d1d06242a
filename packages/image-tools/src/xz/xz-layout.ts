import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { nodeZlib } from "../lazy-builtins.ts";
import { MAX_BLOCK_HEADER_BYTES, parseXzBlock, type XzBlock } from "./xz-block.ts";
import { xzCorrupt, xzTruncated } from "./xz-error.ts";
import { paddedBytes, XZ_HEADER_BYTES, xzStreams, type XzStream } from "./xz-streams.ts";

// The header of each is read beforehand; this many have 200 GiB by the defaults of xz.
const MAX_BLOCKS = 10_000;
const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/**
 * The blocks of an xz file, in order, after all that is around them has been checked: headers,
 * footers, indexes and their checksums. `undefined` where there are very many, or any that need more
 * than LZMA2 to decode.
 *
 * @throws ImageError as `xzStreams` does.
 */
export async function readXzLayout(
  reader: RandomAccessReader,
): Promise<readonly XzBlock[] | undefined> {
  const streams: XzStream[] = [];
  let count = 0;
  for await (const stream of xzStreams(reader)) {
    count += stream.recordCount;
    if (count > MAX_BLOCKS) return undefined;
    streams.unshift(stream);
  }
  if (streams[0]?.start !== 0) throw xzTruncated();
  const blocks: XzBlock[] = [];
  for (const stream of streams) {
    const check = await checkHeader(reader, stream);
    let offset = stream.start + XZ_HEADER_BYTES;
    for (const record of stream.records()) {
      const headBytes = Math.min(MAX_BLOCK_HEADER_BYTES, record.unpaddedBytes);
      const head = await reader.read(offset, headBytes);
      const block = parseXzBlock({ head, offset, record, check });
      if (block === undefined) return undefined;
      blocks.push(block);
      offset += paddedBytes(record.unpaddedBytes);
    }
  }
  return blocks;
}

/** Checks the header of a stream against its footer; returns the number of its check. */
async function checkHeader(reader: RandomAccessReader, stream: XzStream): Promise<number> {
  const header = await reader.read(stream.start, XZ_HEADER_BYTES);
  if (!header.subarray(0, 6).equals(MAGIC)) throw xzCorrupt("a stream does not begin as such");
  const flags = header.subarray(6, 8);
  if (nodeZlib().crc32(flags) !== header.readUInt32LE(8)) {
    throw xzCorrupt("the checksum of a stream's header is wrong");
  }
  if (!flags.equals(stream.flags)) throw xzCorrupt("header and footer contradict each other");
  // What is reserved makes the check one that is not known.
  return flags.readUInt16BE(0);
}
