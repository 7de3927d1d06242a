import { createHash } from "node:crypto";
import { open, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { convertImage } from "../src/convert/convert-image.ts";
import { isImageError } from "../src/image-error.ts";
import { memoryReader } from "../src/io/random-access-reader.ts";
import { callbackReader } from "../src/source/callback-reader.ts";
import { decodeXzBlock } from "../src/xz/decode-xz-block.ts";
import { decodeXzBlocks } from "../src/xz/decode-xz-blocks.ts";
import { readXzLayout } from "../src/xz/xz-layout.ts";
import { collectBytes } from "./support/collect.ts";
import { noise, rawDisk } from "./support/made-images.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { footer, withIndex, xz } from "./support/xz-files.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const text = Buffer.concat([
  noise(40 * KIB, 3),
  Buffer.from("All work and no play makes Jack a dull boy. ".repeat(3000)),
  Buffer.alloc(30 * KIB),
  noise(100 * KIB, 3),
]);

/** What the blocks of a file hold; `undefined` where they need more than LZMA2. */
async function decode(file: Buffer): Promise<Buffer | undefined> {
  const blocks = await readXzLayout(memoryReader(file));
  if (blocks === undefined) return undefined;
  const read = (target: Uint8Array, offset: number): void => {
    const bytes = file.subarray(offset, offset + target.length);
    if (bytes.length < target.length) throw new Error("read beyond the end");
    target.set(bytes);
  };
  return Buffer.concat(blocks.flatMap((block) => [...decodeXzBlock(block, read)]));
}

describe("decoding what xz has written", () => {
  test.each([
    [["-0"]],
    [["-6"]],
    [["-9e"]],
    [["--block-size=20KiB"]],
    [["-C", "none"]],
    [["-C", "crc32"]],
    [["-C", "sha256", "--block-size=7777"]],
    [["--lzma2=preset=6,lc=0,lp=4,pb=0"]],
    [["--lzma2=preset=6,lc=4,lp=0,pb=4"]],
    [["--lzma2=preset=0,lc=1,lp=2,pb=3,dict=4KiB"]],
    [["--lzma2=preset=6,nice=2"]],
  ])("with %s", async (args) => {
    expect((await decode(await xz(text, ...args)))?.equals(text)).toBe(true);
  });

  test(
    "of no content, of one byte, and of what cannot be compressed",
    { timeout: 30_000 },
    async () => {
      for (const content of [Buffer.alloc(0), Buffer.from("x"), noise(3 * MIB)]) {
        expect((await decode(await xz(content)))?.equals(content)).toBe(true);
      }
    },
  );

  test("of several streams with padding between them", async () => {
    const parts = [
      await xz(text),
      await xz(Buffer.alloc(0)),
      Buffer.alloc(8),
      await xz(text, "-0"),
    ];
    const content = Buffer.concat([text, text]);
    expect((await decode(Buffer.concat([...parts, Buffer.alloc(4)])))?.equals(content)).toBe(true);
  });

  test("of far more than the window, which moves along", { timeout: 30_000 }, async () => {
    const content = Buffer.concat(Array.from({ length: 40 }, () => text));
    expect(content.length).toBeGreaterThan(9 * MIB);
    for (const dictionary of ["4KiB", "64KiB", "512KiB"]) {
      const file = await xz(content, `--lzma2=preset=0,dict=${dictionary}`);
      expect((await decode(file))?.equals(content)).toBe(true);
    }
  });

  test("is left to another decoder where there is another filter", async () => {
    expect(await decode(await xz(text, "--x86", "--lzma2=preset=1"))).toBeUndefined();
    expect(await decode(await xz(text, "--delta=dist=4", "--lzma2=preset=1"))).toBeUndefined();
  });
});

const isTyped = (error: unknown): boolean =>
  isImageError(error) &&
  ["IMAGE_CORRUPT", "IMAGE_TRUNCATED", "IMAGE_TOO_LARGE"].includes(error.code);

/** Decodes what should be refused; whatever else comes of it is returned. */
async function unlessRefused(file: Buffer): Promise<unknown> {
  try {
    return await decode(file);
  } catch (error) {
    return isTyped(error) ? undefined : error;
  }
}

describe("damage", () => {
  test("of any byte is noticed", { timeout: 60_000 }, async () => {
    const content = text.subarray(30 * KIB, 90 * KIB);
    const file = await xz(content, "-C", "crc64", "--block-size=30KiB");
    for (let at = 0; at < file.length; at += at < 60 || at > file.length - 80 ? 1 : 17) {
      for (const bit of [1, 0x80]) {
        const damaged = Buffer.from(file);
        damaged[at] = (damaged[at] as number) ^ bit;
        expect([at, bit, await unlessRefused(damaged)]).toEqual([at, bit, undefined]);
      }
    }
  });

  test(
    "of data without any check ends in content or in a typed error",
    { timeout: 30_000 },
    async () => {
      const file = await xz(text.subarray(0, 60 * KIB), "-C", "none");
      for (let at = 24; at < file.length - 40; at += 131) {
        const damaged = Buffer.from(file);
        damaged.fill(at % 256, at, at + 3);
        const result = await unlessRefused(damaged);
        expect(result === undefined || Buffer.isBuffer(result)).toBe(true);
      }
    },
  );

  test("a file that is cut at every 5 % is refused", { timeout: 30_000 }, async () => {
    const file = await xz(text, "--block-size=50KiB");
    for (let percent = 0; percent < 100; percent += 5) {
      const cut = file.subarray(0, Math.floor((file.length * percent) / 100));
      if (cut.length > 0) await expect(decode(cut)).rejects.toSatisfy(isTyped);
    }
    await expect(decode(file.subarray(0, -1))).rejects.toSatisfy(isTyped);
    await expect(decode(Buffer.concat([file, Buffer.from("tail")]))).rejects.toSatisfy(isTyped);
  });

  test("an index that lies about sizes or blocks is refused", async () => {
    const file = await xz(text, "-C", "crc32");
    const blocks = await readXzLayout(memoryReader(file));
    const [block] = blocks ?? [];
    if (block === undefined) throw new Error("there is no block");
    const unpadded = block.dataOffset - 12 + block.dataBytes + 4;
    const content = text.length;
    expect(withIndex(file, [unpadded, content], 1).equals(file)).toBe(true);
    for (const [records, count] of [
      [[unpadded, content - 1], 1],
      [[unpadded, content + 1], 1],
      [[unpadded - 1, content], 1],
      [[unpadded + 1, content], 1],
      [[unpadded + 4, content], 1],
      [[unpadded, 0], 1],
      [[4, content], 1],
      [[unpadded, content], 2],
      [[unpadded, content], 100],
      [[unpadded], 0],
      [[], 0],
    ] as const) {
      const lying = withIndex(file, records, count);
      await expect(decode(lying)).rejects.toSatisfy(isTyped);
    }
  });
});

describe("limits", () => {
  test("a huge index is refused before it is read", async () => {
    let largestRead = 0;
    const sizeBytes = 1024 * MIB;
    const end = footer(512 * MIB);
    const reader = callbackReader(
      async (offset, length) => {
        largestRead = Math.max(largestRead, length);
        const bytes = Buffer.alloc(length);
        end.copy(bytes, Math.max(0, sizeBytes - 12 - offset));
        return bytes;
      },
      { sizeBytes },
    );
    await expect(readXzLayout(reader)).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
    expect(largestRead).toBeLessThanOrEqual(64 * KIB);
  });

  test("a dictionary over 96 MiB is refused", async () => {
    const file = await xz(text, "--lzma2=preset=0,dict=97MiB");
    await expect(decode(file)).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
  });
});

describe("in threads", () => {
  const content = Buffer.concat(
    Array.from({ length: 20 }, (_, seed) => noise(300 * KIB, seed + 1)),
  );

  async function inThreads(file: Buffer, threads: number): Promise<Buffer> {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "x.xz");
    await writeFile(path, file);
    const blocks = (await readXzLayout(memoryReader(file))) ?? [];
    await using handle = await open(path, "r");
    const { fd } = handle;
    let stored = 0;
    const onStored = (bytes: number): void => {
      stored += bytes;
    };
    const decoded = await collectBytes(decodeXzBlocks({ fd, blocks, threads, onStored }));
    expect(stored).toBeCloseTo(blocks.reduce((sum, { dataBytes }) => sum + dataBytes, 0));
    return decoded;
  }

  test("blocks come in order", { timeout: 30_000 }, async () => {
    const file = await xz(content, "-0", "--block-size=333KiB");
    for (const threads of [1, 3]) {
      expect((await inThreads(file, threads)).equals(content)).toBe(true);
    }
  });

  test("a bad block is an error, and the threads end", { timeout: 30_000 }, async () => {
    const file = await xz(content, "-0", "--block-size=1MiB");
    const third = (await readXzLayout(memoryReader(file)))?.[3];
    file.fill(0x55, third?.dataOffset, (third?.dataOffset ?? 0) + 100);
    await expect(inThreads(file, 2)).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  });

  test("conversions use them, and leave nothing behind", { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    const disk = Buffer.concat([rawDisk(), content]);
    disk.writeUInt32LE(disk.length / 512 - 64, 458);
    const file = await xz(disk, "-0", "--block-size=1MiB");
    const source = join(directory.path, "disk.xz");
    const target = join(directory.path, "disk.raw");
    await writeFile(source, file);
    const plain = join(directory.path, "plain.raw");
    await writeFile(plain, disk);
    const digests = { source: ["sha256"], content: true } as const;
    const converted = await convertImage({ source, target, to: "raw", digests });
    const copied = await convertImage({ source: plain, target, to: "raw", digests });
    expect(converted.source).toMatchObject({ format: "raw", wrappers: ["xz"] });
    expect(converted.contentDigest).toBe(copied.contentDigest);
    expect(converted.source.digests?.sha256).toBe(createHash("sha256").update(file).digest("hex"));
    for (let percent = 5; percent < 100; percent += 5) {
      await writeFile(source, file.subarray(0, Math.floor((file.length * percent) / 100)));
      const failing = convertImage({ source, target: join(directory.path, "cut"), to: "raw" });
      await expect(failing).rejects.toSatisfy(isTyped);
    }
    const middle = Math.floor(file.length / 2);
    file.fill(0xaa, middle, middle + 8);
    await writeFile(source, file);
    const failing = convertImage({ source, target: join(directory.path, "bad"), to: "raw" });
    await expect(failing).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    expect((await readdir(directory.path)).toSorted()).toEqual([
      "disk.raw",
      "disk.xz",
      "plain.raw",
    ]);
  });
});
