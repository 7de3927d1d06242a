import { deflateRawSync, deflateSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeBlock, type DecodedBlock } from "../src/disk/decode-block.ts";
import type { BlockCodec } from "../src/disk/disk-segment.ts";
import { noise } from "./support/made-images.ts";

const BLOCK_BYTES = 4096;
const block = Buffer.concat([noise(2048), Buffer.alloc(2048, "dull boy ")]);

const CODECS = [
  ["deflate", deflateRawSync],
  ["zlib", deflateSync],
  ["zstd", zstdCompressSync],
] as const;

function decode(codec: BlockCodec, bytes: Buffer): DecodedBlock & { readonly bytes: Buffer } {
  const target = Buffer.alloc(BLOCK_BYTES);
  const segment = {
    type: "compressed",
    length: BLOCK_BYTES,
    hostOffset: 0,
    hostLength: bytes.length,
    codec,
    blockBytes: BLOCK_BYTES,
  } as const;
  return { ...decodeBlock(segment, bytes, target), bytes: target };
}

describe.each(CODECS)("%s", (codec, compress) => {
  test("decodes a block, with or without stray bytes behind it", () => {
    const compressed = compress(block);
    for (const stray of [0, 1, 300]) {
      const bytes = Buffer.concat([compressed, Buffer.alloc(stray)]);
      const decoded = decode(codec, bytes);
      expect(decoded).toEqual({ bytes: block, overlong: false });
    }
  });

  test("cuts what goes on after the block, and says so", () => {
    const long = compress(Buffer.concat([block, noise(9000, 2)]));
    const decoded = decode(codec, long);
    expect(decoded).toEqual({ bytes: block, overlong: true });
  });

  test("refuses what is damaged, short or endless", () => {
    const isCorrupt = expect.objectContaining({ code: "IMAGE_CORRUPT" });
    const compressed = compress(block);
    for (const bytes of [
      compressed.subarray(0, compressed.length / 2),
      Buffer.alloc(100, 0xff),
      Buffer.alloc(0),
      compress(block.subarray(0, BLOCK_BYTES - 1)),
      compress(Buffer.alloc(80 * 1024 * 1024)),
    ]) {
      expect(() => decode(codec, bytes)).toThrow(isCorrupt);
    }
  });
});

test("a block of zstd may have several frames", () => {
  const frames = [block.subarray(0, 1000), block.subarray(1000)].map((part) =>
    zstdCompressSync(part),
  );
  const decoded = decode("zstd", Buffer.concat(frames));
  expect(decoded).toEqual({ bytes: block, overlong: false });
});
