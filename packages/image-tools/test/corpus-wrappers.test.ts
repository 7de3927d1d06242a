import { describe, expect, test } from "vitest";
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limitExpansion } from "../src/decode/limit-expansion.ts";
import { streamDecoder } from "../src/decode/stream-decoders.ts";
import { memoryReader, openDiskImage, type ImageWrapper } from "../src/index.ts";
import { collectBytes, collectSparse } from "./support/collect.ts";
import { CORPUS, corpusFile, sha256, type CorpusEntry } from "./support/corpus.ts";
import { noise } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";

const WRAPPERS = new Set(["gz", "xz", "zst", "bz2"]);
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;
const wrapped = CORPUS.filter(({ format = "" }) => WRAPPERS.has(format));
const ofClass = (klass: string): readonly (readonly [string, CorpusEntry])[] =>
  wrapped.filter((entry) => entry.klass === klass).map((entry) => [entry.file, entry]);

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

const decode = (wrapper: string, bytes: Buffer, size = 65_536): Promise<Buffer> =>
  collectBytes(streamDecoder(wrapper as ImageWrapper).decode(inPieces(bytes, size)));

describe("the corpus", () => {
  test.each(ofClass("valid"))("%s is unwrapped", async (file, entry) => {
    const content = await decode(entry.format ?? "", corpusFile(file));
    await using image = await openDiskImage(memoryReader(content));
    expect(sha256(await collectSparse(image.stream()))).toBe(entry.raw_sha256);
  });

  test.each(ofClass("reject"))("%s is refused", async (file, entry) => {
    await expect(decode(entry.format ?? "", corpusFile(file))).rejects.toMatchObject({
      code: expect.stringMatching(/^IMAGE_(CORRUPT|TRUNCATED)$/),
    });
  });

  test.each(ofClass("limit"))("%s is stopped", async (file, entry) => {
    const bytes = corpusFile(file);
    const decoded = streamDecoder(entry.format as ImageWrapper).decode(inPieces(bytes, 4096));
    const before = process.memoryUsage().rss;
    let length = 0;
    const reading = (async () => {
      for await (const chunk of limitExpansion(decoded, { bytes: bytes.length }, 1000)) {
        length += chunk.length;
        if (length > MAX_OUTPUT_BYTES) return "stopped by its reader";
      }
      return "read whole";
    })();
    await reading.then(
      (outcome) => expect(outcome).toBe("stopped by its reader"),
      (error: unknown) => expect(error).toMatchObject({ code: "IMAGE_TOO_LARGE" }),
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
  });

  test.each(ofClass("valid"))(
    "%s is refused when cut at every twentieth",
    { timeout: 120_000 },
    async (file, entry) => {
      const whole = corpusFile(file);
      for (let twentieth = 1; twentieth < 20; twentieth += 1) {
        const cut = whole.subarray(0, Math.floor((whole.length * twentieth) / 20));
        await expect(decode(entry.format ?? "", cut)).rejects.toMatchObject({
          code: expect.stringMatching(/^IMAGE_(TRUNCATED|CORRUPT)$/),
        });
      }
    },
  );
});

describe("zstd", () => {
  const content = Buffer.concat([noise(300_000), Buffer.alloc(400_000), Buffer.from("end")]);
  const skippable = Buffer.from("522a4d1804000000aabbccdd", "hex");
  const checked = (bytes: Buffer): Buffer =>
    zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });

  test.each([
    ["several frames", [checked(content), checked(Buffer.from("two")), zstdCompressSync(content)]],
    ["a skippable frame first", [skippable, zstdCompressSync(content)]],
    [
      "skippable frames between and last",
      [checked(content), skippable, checked(content), skippable],
    ],
    ["an empty frame", [checked(Buffer.alloc(0)), checked(content)]],
  ])("decodes %s, however cut", async (_name, frames) => {
    const bytes = Buffer.concat(frames);
    const parts = frames.filter((frame) => frame !== skippable);
    const expected = Buffer.concat(parts.map((frame) => zstdDecompressSync(frame)));
    for (const size of [1000, 16_384, bytes.length]) {
      expect((await decode("zst", bytes, size)).equals(expected)).toBe(true);
    }
  });

  test("decodes a stream of unknown length", async () => {
    const encoder = createZstdCompress();
    encoder.end(content);
    const bytes = await collectBytes(encoder as AsyncIterable<Uint8Array>);
    expect((await decode("zst", bytes)).equals(content)).toBe(true);
  });

  test("refuses a wrong checksum, stray bytes, and a window of 2 GiB", async () => {
    const bytes = checked(content);
    const damaged = Buffer.from(bytes);
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    const windowed = Buffer.from("28b52ffd00a8010000", "hex");
    for (const [file, code] of [
      [damaged, "IMAGE_CORRUPT"],
      [Buffer.concat([bytes, Buffer.from("stray")]), "IMAGE_CORRUPT"],
      [Buffer.concat([bytes, Buffer.from("s")]), "IMAGE_CORRUPT"],
      [windowed, "IMAGE_TOO_LARGE"],
      [Buffer.alloc(0), "IMAGE_TRUNCATED"],
    ] as const) {
      await expect(decode("zst", file)).rejects.toMatchObject({ code });
    }
  });
});

describe("bzip2", () => {
  async function bzip2(content: Buffer, level: number): Promise<Buffer> {
    const folder = await mkdtemp(join(tmpdir(), "bzip2-"));
    try {
      const path = join(folder, "content");
      await writeFile(path, content);
      await runTool("bzip2", `-${level}`, path);
      return await readFile(`${path}.bz2`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  test.each([
    ["nothing", Buffer.alloc(0), 9],
    ["one byte", Buffer.from("x"), 9],
    ["runs of every length", Buffer.from("abccdddeeeefffff".padEnd(300, "g").padEnd(800, "h")), 1],
    ["several small blocks", noise(350_000), 1],
    ["several large blocks", Buffer.concat([noise(1_200_000), Buffer.alloc(3_000_000)]), 9],
    ["text", Buffer.from("The quick brown fox jumps over the lazy dog. ".repeat(40_000)), 5],
  ])("decodes %s as bzip2 encoded it", { timeout: 60_000 }, async (_name, content, level) => {
    const bytes = await bzip2(content, level);
    expect((await decode("bz2", bytes)).equals(content)).toBe(true);
    const twice = Buffer.concat([bytes, bytes]);
    const decoded = await decode("bz2", twice, 777);
    expect(decoded.equals(Buffer.concat([content, content]))).toBe(true);
  });

  test("never takes damage for content, refuses stray bytes", { timeout: 60_000 }, async () => {
    const content = Buffer.from("some text that is repeated ".repeat(60));
    const bytes = await bzip2(content, 9);
    for (let index = 0; index < bytes.length; index += 1) {
      for (const bit of [1, 16, 128]) {
        const damaged = Buffer.from(bytes);
        damaged[index] = (damaged[index] as number) ^ bit;
        const decoded = await decode("bz2", damaged).catch((error: unknown) => error);
        // The level of the header and the bits that fill the last byte do not matter.
        if (Buffer.isBuffer(decoded)) expect(decoded.equals(content)).toBe(true);
        else expect(decoded).toMatchObject({ name: "ImageError" });
      }
    }
    await expect(decode("bz2", Buffer.concat([bytes, Buffer.from("stray")]))).rejects.toMatchObject(
      {
        code: expect.stringMatching(/^IMAGE_(CORRUPT|TRUNCATED)$/),
      },
    );
  });
});
