import { ImageError } from "../image-error.ts";
import { ByteQueue } from "./byte-queue.ts";
import { BitReader, BitsExhausted } from "./bzip2-bits.ts";
import { Bzip2Damage, expandBzip2Block, readBzip2Block } from "./bzip2-block.ts";
import type { StreamDecoder } from "./stream-decoder.ts";

// More than the longest block: 900,000 symbols of 20 bits, and its tables.
const BLOCK_INPUT_BYTES = 2.5 * 1024 * 1024;
const LEVEL_BYTES = 100_000;
const BLOCK_MAGIC = [0x314159, 0x265359];
const END_MAGIC = [0x177245, 0x385090];

/** Decodes bzip2 with any number of streams. Needs about 5 MiB of memory. */
export const bzip2Decoder: StreamDecoder = {
  wrapper: "bz2",
  async *decode(source) {
    const input = new ByteQueue(source);
    const reader = new BitReader();
    const refill = async (): Promise<void> => {
      if (reader.bytesLeft >= BLOCK_INPUT_BYTES) return;
      reader.append(await input.take(2 * BLOCK_INPUT_BYTES - reader.bytesLeft));
    };
    try {
      await refill();
      do {
        yield* decodeStream(reader, refill);
        await refill();
      } while (reader.bytesLeft > 0);
    } catch (error) {
      throw translateError(error);
    } finally {
      await input.close();
    }
  },
};

async function* decodeStream(
  reader: BitReader,
  refill: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, void> {
  const isHeader = reader.read(24) === 0x425a68;
  const level = reader.read(8) - 0x30;
  if (!isHeader || level < 1 || level > 9) throw new Bzip2Damage("a stream does not begin as such");
  let combined = 0;
  for (;;) {
    await refill();
    const magic = [reader.read(24), reader.read(24)];
    if (isEqual(magic, END_MAGIC)) break;
    if (!isEqual(magic, BLOCK_MAGIC)) throw new Bzip2Damage("a block does not begin as such");
    const block = readBzip2Block(reader, level * LEVEL_BYTES);
    combined = (((combined << 1) | (combined >>> 31)) ^ block.crc) >>> 0;
    yield* expandBzip2Block(block);
  }
  const crc = ((reader.read(16) << 16) | reader.read(16)) >>> 0;
  if (crc !== combined) throw new Bzip2Damage("the checksum of the stream is wrong");
  reader.align();
}

function isEqual(left: readonly number[], right: readonly number[]): boolean {
  return left.every((value, index) => value === right[index]);
}

function translateError(cause: unknown): unknown {
  if (cause instanceof BitsExhausted) {
    return new ImageError("IMAGE_TRUNCATED", "the bzip2 file is cut short", { cause });
  }
  if (cause instanceof Bzip2Damage) {
    return new ImageError("IMAGE_CORRUPT", `the bzip2 file is corrupt: ${cause.message}`, {
      cause,
    });
  }
  return cause;
}
