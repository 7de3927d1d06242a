import { zstdCompressSync, constants } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { zstdFrameLength } from "../src/decode/zstd-frame.ts";

const content = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc.integer({ min: 0, max: 400_000 }).map((length) => new Uint8Array(length)),
);

test("finds the length of a frame among what follows it, and of no incomplete one", () => {
  fc.assert(
    fc.property(
      content,
      fc.boolean(),
      fc.uint8Array({ maxLength: 40 }),
      (bytes, checksum, tail) => {
        const params = { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 };
        const frame = zstdCompressSync(bytes, { params });
        expect(zstdFrameLength(Buffer.concat([frame, tail]))).toBe(frame.length);
        expect(zstdFrameLength(frame.subarray(0, -1))).toBeUndefined();
      },
    ),
  );
});

test("knows skippable frames and refuses other data", () => {
  const skippable = Buffer.from("5a2a4d1803000000aabbccdd", "hex");
  expect(zstdFrameLength(skippable)).toBe(11);
  expect(zstdFrameLength(skippable.subarray(0, 10))).toBeUndefined();
  expect(zstdFrameLength(Buffer.from("no zstd frame at all"))).toBeUndefined();
  expect(zstdFrameLength(Buffer.alloc(0))).toBeUndefined();
});
