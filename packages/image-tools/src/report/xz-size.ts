import { crc32 } from "node:zlib";
import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";

const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const MAX_STREAMS = 1000;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 4096;

/**
 * Length of what an xz file holds, from the indexes of its streams, which are read from the end
 * of the file backwards.
 *
 * @throws ImageError `IMAGE_TRUNCATED` when the file does not end as xz files do, `IMAGE_CORRUPT`,
 * `IMAGE_TOO_LARGE` for an index over 16 MiB.
 * @see The .xz File Format 1.2.1, sections 2.1.2 and 4
 */
export async function xzContentSize(reader: RandomAccessReader): Promise<number> {
  let total = 0;
  let end = reader.sizeBytes;
  for (let streams = 0; end > 0; streams += 1) {
    end = await skipPadding(reader, end);
    if (end < HEADER_BYTES + FOOTER_BYTES) throw truncated();
    if (streams === MAX_STREAMS) {
      throw new ImageError("IMAGE_TOO_LARGE", `the xz file has over ${MAX_STREAMS} streams`);
    }
    const footer = await reader.read(end - FOOTER_BYTES, FOOTER_BYTES);
    if (footer.toString("latin1", 10) !== "YZ") throw truncated();
    if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) throw corrupt();
    const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
    const indexStart = end - FOOTER_BYTES - indexBytes;
    if (indexStart < HEADER_BYTES) throw corrupt();
    if (indexBytes > MAX_INDEX_BYTES) {
      throw new ImageError("IMAGE_TOO_LARGE", `the xz file has an index of ${indexBytes} bytes`);
    }
    const { storedBytes, contentBytes } = parseIndex(await reader.read(indexStart, indexBytes));
    total += contentBytes;
    end = indexStart - storedBytes - HEADER_BYTES;
    if (end < 0 || !Number.isSafeInteger(total)) throw corrupt();
  }
  return total;
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
    if (padding % 4 !== 0) throw corrupt();
    return start + last + 1;
  }
  throw corrupt();
}

function parseIndex(index: Buffer): { storedBytes: number; contentBytes: number } {
  const checksumAt = index.length - 4;
  if (index[0] !== 0 || crc32(index.subarray(0, checksumAt)) !== index.readUInt32LE(checksumAt)) {
    throw corrupt();
  }
  let position = 1;
  const next = (): number => {
    let value = 0;
    for (let factor = 1; position < checksumAt; factor *= 128) {
      const byte = index[position] as number;
      position += 1;
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw corrupt();
      if (byte < 0x80) return value;
    }
    throw corrupt();
  };
  const records = next();
  // A record has two bytes at least.
  if (records > index.length / 2) throw corrupt();
  let storedBytes = 0;
  let contentBytes = 0;
  for (let record = 0; record < records; record += 1) {
    storedBytes += Math.ceil(next() / 4) * 4;
    contentBytes += next();
  }
  if (!Number.isSafeInteger(storedBytes) || !Number.isSafeInteger(contentBytes)) throw corrupt();
  return { storedBytes, contentBytes };
}

function truncated(): ImageError {
  return new ImageError(
    "IMAGE_TRUNCATED",
    "the xz file is cut short or has stray bytes at its end: it does not end with an index",
  );
}

function corrupt(): ImageError {
  return new ImageError("IMAGE_CORRUPT", "the index of the xz file is corrupt");
}
