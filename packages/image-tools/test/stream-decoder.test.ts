import { gzipSync, crc32 } from "node:zlib";
import fc from "fast-check";
import { compress } from "lzma-native";
import { beforeAll, expect, test } from "vitest";
import { limitExpansion } from "../src/decode/limit-expansion.ts";
import { streamDecoder } from "../src/decode/stream-decoders.ts";
import { collectBytes } from "./support/collect.ts";
import { noise } from "./support/made-images.ts";

const content = Buffer.concat([noise(300_000), Buffer.alloc(400_000), Buffer.from("end")]);
const wrapped: Record<"gz" | "xz", Buffer> = { gz: Buffer.alloc(0), xz: Buffer.alloc(0) };

async function xz(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => compress(bytes, { preset: 1 }, resolve));
}

beforeAll(async () => {
  wrapped.gz = gzipSync(content);
  wrapped.xz = await xz(content);
});

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let position = 0;
  for (let index = 0; position < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    yield bytes.subarray(position, position + size);
    position += size;
  }
}

const decode = (wrapper: "gz" | "xz", bytes: Buffer): Promise<Buffer> =>
  collectBytes(streamDecoder(wrapper).decode(inPieces(bytes, [])));

test.each(["gz", "xz"] as const)("%s: decodes several members, however cut", async (wrapper) => {
  const small = Buffer.from("small");
  const second = wrapper === "gz" ? gzipSync(small) : await xz(small);
  const both = Buffer.concat([wrapped[wrapper], second]);
  const expected = Buffer.concat([content, small]);
  const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(sizes, async (pieces) => {
      fc.pre(pieces.some((size) => size > 500));
      const decoded = await collectBytes(streamDecoder(wrapper).decode(inPieces(both, pieces)));
      expect(decoded.equals(expected)).toBe(true);
    }),
    { numRuns: 25 },
  );
});

test("xz: finds the end of a stream wherever the input is cut around it", async () => {
  const first = await xz(Buffer.from("first"));
  const both = Buffer.concat([first, await xz(Buffer.from("second"))]);
  for (let cut = first.length - 14; cut <= first.length + 14; cut += 1) {
    const pieces = inPieces(both, [cut, both.length]);
    expect((await collectBytes(streamDecoder("xz").decode(pieces))).toString()).toBe("firstsecond");
  }
});

test.each(["gz", "xz"] as const)("%s: refuses an input cut anywhere", async (wrapper) => {
  const { length } = wrapped[wrapper];
  for (const end of [12, 100, Math.floor(length / 2), length - 9, length - 1]) {
    await expect(decode(wrapper, wrapped[wrapper].subarray(0, end))).rejects.toMatchObject({
      code: "IMAGE_TRUNCATED",
    });
  }
});

test.each(["gz", "xz"] as const)("%s: refuses flipped bits and stray bytes", async (wrapper) => {
  const flipped = Buffer.from(wrapped[wrapper]);
  flipped[Math.floor(flipped.length / 3)] = (flipped[Math.floor(flipped.length / 3)] ?? 0) ^ 1;
  await expect(decode(wrapper, flipped)).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  const stray = Buffer.concat([wrapped[wrapper], Buffer.from("garbage that follows")]);
  await expect(decode(wrapper, stray)).rejects.toMatchObject({
    code: expect.stringMatching(/^IMAGE_(CORRUPT|TRUNCATED)$/) as string,
  });
});

test("xz: refuses a dictionary that needs more than 96 MiB", async () => {
  const bytes = Buffer.from(wrapped.xz);
  const blockHeaderBytes = ((bytes[12] ?? 0) + 1) * 4;
  const filter = bytes.indexOf(Buffer.from([0x21, 0x01]), 12);
  expect(filter).toBeGreaterThan(12);
  bytes[filter + 2] = 37;
  const checksumAt = 12 + blockHeaderBytes - 4;
  bytes.writeUInt32LE(crc32(bytes.subarray(12, checksumAt)), checksumAt);
  await expect(decode("xz", bytes)).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
});

test("xz: refuses an integrity check that it cannot verify", async () => {
  const bytes = Buffer.from(await xz(Buffer.from("text")));
  const footer = bytes.length - 12;
  bytes[7] = 0x02;
  bytes.writeUInt32LE(crc32(bytes.subarray(6, 8)), 8);
  bytes[footer + 9] = 0x02;
  bytes.writeUInt32LE(crc32(bytes.subarray(footer + 4, footer + 10)), footer);
  await expect(decode("xz", bytes)).rejects.toMatchObject({ code: "IMAGE_UNSUPPORTED" });
});

test.each(["gz", "xz"] as const)("%s: an error of the source passes unchanged", async (wrapper) => {
  const failure = new Error("the network is gone");
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield wrapped[wrapper].subarray(0, 50_000);
    throw failure;
  }
  await expect(collectBytes(streamDecoder(wrapper).decode(failing()))).rejects.toBe(failure);
});

test.each([
  ["gz", "IMAGE_CORRUPT"],
  ["xz", "IMAGE_CORRUPT"],
  ["zst", "IMAGE_TOO_LARGE"],
] as const)("%s: damage is named although there is more to come", async (wrapper, code) => {
  const long = noise(2_000_000);
  const damaged =
    wrapper === "zst"
      ? // A frame that wants a window of 2 GiB.
        Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 0x04, 0, 2])
      : Buffer.concat([wrapped[wrapper].subarray(0, 30), Buffer.alloc(10, 0x55)]);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield damaged;
    for (let at = 0; at < long.length; at += 10_000) yield long.subarray(at, at + 10_000);
  }
  const decoding = collectBytes(streamDecoder(wrapper).decode(source()));
  await expect(decoding).rejects.toMatchObject({ name: "ImageError", code });
});

test.each(["gz", "xz"] as const)("%s: ending early ends the source", async (wrapper) => {
  let ended = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield wrapped[wrapper];
    } finally {
      ended = true;
    }
  }
  for await (const chunk of streamDecoder(wrapper).decode(endless())) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  expect(ended).toBe(true);
});

test("output that grows past the ratio is refused from 64 MiB on, and not before", async () => {
  async function* zeros(mebibytes: number): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < mebibytes; index += 1) yield Buffer.alloc(1024 * 1024);
  }
  const encoded = { bytes: 64 * 1024 };
  const limited = (mebibytes: number): Promise<Buffer> =>
    collectBytes(limitExpansion(zeros(mebibytes), encoded, 1000));
  expect((await limited(63)).length).toBe(63 * 1024 * 1024);
  await expect(limited(64)).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
});
