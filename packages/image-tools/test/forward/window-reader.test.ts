import { expect, test } from "vitest";
import { WindowReader } from "../../src/forward/window-reader.ts";
import { noise } from "../support/made-images.ts";

const KIBIBYTE = 1024;
const content = noise(400 * KIBIBYTE, 3);

async function* pieces(size = 10_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.length; start += size) {
    yield content.subarray(start, start + size);
  }
}

function open(windowBytes: number, maxBytes = content.length): WindowReader {
  return new WindowReader(pieces(), { windowBytes, maxBytes });
}

test("reads anything inside of the window, and on from it", async () => {
  const reader = open(100 * KIBIBYTE);
  expect(reader.sizeBytes).toBe(Number.POSITIVE_INFINITY);
  for (const [offset, length] of [
    [0, 10],
    [30_000, 20_001],
    [5, 9_999],
    [120_000, 1],
    [49_000, 70_000],
    [content.length - 7, 7],
  ] as const) {
    const bytes = await reader.read(offset, length);
    expect(bytes.equals(content.subarray(offset, offset + length))).toBe(true);
    // Passed to a thread, it must not bring the whole window along.
    expect(bytes.buffer.byteLength).toBe(length);
  }
  expect((await reader.readUpTo(content.length - 7, 100)).length).toBe(7);
  expect(reader.sizeBytes).toBe(content.length);
});

test("says what it has forgotten, and where the stream ends", async () => {
  const reader = open(50 * KIBIBYTE);
  await reader.read(200 * KIBIBYTE, 1);
  await expect(reader.read(100 * KIBIBYTE, 1)).rejects.toMatchObject({
    code: "IMAGE_NOT_STREAMABLE",
  });
  await expect(reader.read(content.length, 1)).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
});

test("reads in passing only what others read", async () => {
  const reader = open(50 * KIBIBYTE);
  const passing = [
    reader.readInPassing(300 * KIBIBYTE, 20),
    reader.readInPassing(100 * KIBIBYTE, 30 * KIBIBYTE),
    reader.readInPassing(content.length - 5, 10),
  ] as const;
  let isThere = false;
  const first = passing[1].then((bytes) => {
    isThere = true;
    return bytes;
  });
  passing[2].catch(() => {});
  await reader.read(0, 1);
  expect(isThere).toBe(false);
  await reader.finish();
  const [start, end] = [100 * KIBIBYTE, 130 * KIBIBYTE];
  expect((await first).equals(content.subarray(start, end))).toBe(true);
  expect((await passing[0]).length).toBe(20);
  await expect(passing[2]).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
});

test("concurrent reads do not forget each other's bytes", async () => {
  const reader = open(60 * KIBIBYTE);
  const offsets = Array.from({ length: 80 }, (_, index) => index * 4096);
  const all = await Promise.all(offsets.map((offset) => reader.read(offset, 4096)));
  expect(Buffer.concat(all).equals(content.subarray(0, 80 * 4096))).toBe(true);
});

test("fills its window, and knows then whether that is all", async () => {
  expect(await open(content.length * 2).fill()).toBe(true);
  expect(await open(content.length - 1).fill()).toBe(false);
  await expect(open(2 ** 30, content.length - 1).fill()).rejects.toMatchObject({
    code: "IMAGE_TOO_LARGE",
  });
});

test("keeps what nobody has read for good, within limits", async () => {
  const page = 64 * KIBIBYTE;
  const reader = open(4 * page);
  reader.keepUnread();
  await reader.read(0, 10);
  // All of the second page but its last bytes, in parts and out of order, and all of the third.
  reader.release(1.5 * page, page / 2 - 100);
  reader.release(page, page / 2);
  reader.release(2 * page, page);
  await reader.read(4.9 * page, 1);
  const unread = await reader.read(2 * page - 100, 100);
  expect(unread.equals(content.subarray(2 * page - 100, 2 * page))).toBe(true);
  expect((await reader.read(0, 10)).equals(content.subarray(0, 10))).toBe(true);
  await expect(reader.read(2 * page, 10)).rejects.toMatchObject({ code: "IMAGE_NOT_STREAMABLE" });
  // Over the limit, the oldest are forgotten first.
  await reader.read(5.9 * page, 1);
  await expect(reader.read(0, 10)).rejects.toMatchObject({ code: "IMAGE_NOT_STREAMABLE" });
  reader.release(2 * page - 100, 100);
  await expect(reader.read(page, 1)).rejects.toMatchObject({ code: "IMAGE_NOT_STREAMABLE" });
});
