import { deflateRawSync, deflateSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeBlock } from "../../src/worker/decode-block.ts";
import { noise } from "../support/made-images.ts";

const BLOCK_BYTES = 4096;
const block = Buffer.concat([noise(2048), Buffer.alloc(2048, "dull boy ")]);

const CODECS = [
  ["deflate", deflateRawSync],
  ["zlib", deflateSync],
  ["zstd", zstdCompressSync],
] as const;

describe.each(CODECS)("%s", (codec, compress) => {
  test("decodes a block, with or without stray bytes behind it", () => {
    const compressed = compress(block);
    for (const stray of [0, 1, 300]) {
      const bytes = Buffer.concat([compressed, Buffer.alloc(stray)]);
      const decoded = decodeBlock(codec, bytes, BLOCK_BYTES, BLOCK_BYTES);
      expect(decoded).toEqual({ bytes: block, overlong: false });
    }
  });

  test("cuts what goes on after the block, and says so", () => {
    const long = compress(Buffer.concat([block, noise(9000, 2)]));
    const decoded = decodeBlock(codec, long, BLOCK_BYTES, BLOCK_BYTES);
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
      expect(() => decodeBlock(codec, bytes, BLOCK_BYTES, BLOCK_BYTES)).toThrow(isCorrupt);
    }
  });
});

test("a block of zstd may have several frames", () => {
  const frames = [block.subarray(0, 1000), block.subarray(1000)].map((part) =>
    zstdCompressSync(part),
  );
  const decoded = decodeBlock("zstd", Buffer.concat(frames), BLOCK_BYTES, BLOCK_BYTES);
  expect(decoded).toEqual({ bytes: block, overlong: false });
});
