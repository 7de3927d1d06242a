import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createWriteStream } from "node:fs";
import { createGzip } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkImage, convertImage, fromStream, type ForwardSource } from "../../src/index.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const SLOW = { timeout: 60_000 };
// More than what is kept of a stream.
const DISK_BYTES = 96 * MEBIBYTE;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let raw: Buffer;
let rawPath: string;
let contentDigest: string | undefined;

beforeAll(async () => {
  directory = await temporaryDirectory();
  raw = Buffer.alloc(DISK_BYTES);
  for (let at = 0; at < DISK_BYTES; at += 4 * MEBIBYTE) {
    randomBytes(3.25 * MEBIBYTE + 70_000).copy(raw, at + MEBIBYTE / 2);
  }
  raw.write("a disk", 0);
  rawPath = join(directory.path, "source.raw");
  await writeFile(rawPath, raw);
  ({ contentDigest } = await checkImage({ source: rawPath, digests: { content: true } }));
}, 60_000);

afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

/** A stream that says nothing about its length. */
const upload = (path: string): ForwardSource =>
  fromStream(createReadStream(path, { highWaterMark: 256 * 1024 }));

async function make(format: string, ...options: readonly string[]): Promise<string> {
  const path = join(directory.path, `made-${randomBytes(4).toString("hex")}`);
  if (format === "our.vmdk" || format === "our.qcow2") {
    const to = format === "our.vmdk" ? "vmdk" : "qcow2";
    await convertImage({ source: rawPath, target: path, to });
  } else {
    await runTool("qemu-img", "convert", "-f", "raw", "-O", format, ...options, rawPath, path);
  }
  return path;
}

describe("an image that comes as a stream and is larger than what is kept of it", () => {
  test.each([
    ["qcow2"],
    ["qcow2", "-o", "cluster_size=4k"],
    ["qcow2", "-o", "extended_l2=on"],
    ["qcow2", "-o", "compat=0.10"],
    ["qcow2", "-o", "preallocation=metadata"],
    ["qcow2", "-c"],
    ["qcow2", "-c", "-o", "compression_type=zstd"],
    ["our.qcow2"],
    ["vmdk"],
    ["vmdk", "-o", "subformat=streamOptimized"],
    ["our.vmdk"],
    ["vdi"],
    ["vhdx"],
    ["vpc", "-o", "force_size=on"],
    ["vpc", "-o", "subformat=fixed,force_size=on"],
    ["raw"],
  ])("%s %s %s %s", { timeout: 60_000 }, async (format, ...options) => {
    const path = await make(format, ...options.filter((option) => option !== undefined));
    const target = join(directory.path, "target");
    const before = await readdir(directory.path);
    const seen = new Set<string>();
    const converted = await convertImage({
      source: upload(path),
      target,
      to: "raw",
      digests: { content: true, source: ["sha512"] },
      onProgress: () => {
        void readdir(directory.path).then((names) => names.forEach((name) => seen.add(name)));
      },
    });
    expect((await readFile(target)).equals(raw)).toBe(true);
    expect(converted.contentDigest).toBe(contentDigest);
    const sum = (await runTool("sha512sum", path)).toString("latin1").slice(0, 128);
    expect(converted.source.digests).toEqual({ sha512: sum });
    // Nothing but the target itself is ever written.
    const others = [...seen].filter((name) => !before.includes(name) && name !== "target");
    expect(others.every((name) => name.startsWith(".target."))).toBe(true);
    expect(others.length).toBeLessThanOrEqual(1);
  });

  test.each([
    ["qcow2"],
    ["qcow2", "-c"],
    ["our.vmdk"],
    ["vmdk", "-o", "subformat=streamOptimized"],
    ["vmdk"],
    ["vdi"],
    ["vpc"],
    ["vhdx"],
  ])("%s %s %s: cut short, it is refused", { timeout: 120_000 }, async (format, ...options) => {
    const path = await make(format, ...options.filter((option) => option !== undefined));
    const { size } = await stat(path);
    for (const part of [0.999, 0.9, 0.55]) {
      await truncate(path, Math.floor((size * part) / 512) * 512);
      const target = join(directory.path, "cut");
      await expect(convertImage({ source: upload(path), target, to: "raw" })).rejects.toMatchObject(
        { code: expect.stringMatching(/^IMAGE_(TRUNCATED|CORRUPT)$/) as string },
      );
    }
    expect((await readdir(directory.path)).filter((name) => name.includes("cut"))).toEqual([]);
  });

  test("in gzip, to compressed qcow2", { timeout: 60_000 }, async () => {
    const path = await make("qcow2", "-c");
    const wrapped = `${path}.gz`;
    await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(wrapped));
    const target = join(directory.path, "target.qcow2");
    const fractions: (number | undefined)[] = [];
    const converted = await convertImage({
      source: wrapped,
      target,
      to: "qcow2",
      compress: "zstd",
      onProgress: ({ fraction }) => fractions.push(fraction),
    });
    expect(converted.source).toEqual({ format: "qcow2", wrappers: ["gz"] });
    await runTool("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", rawPath, target);
    expect(fractions.at(-1)).toBe(1);
  });

  test("with clusters that were packed into room far in front of them", SLOW, async () => {
    const disk = Buffer.alloc(14 * 9 * MEBIBYTE);
    for (let at = 0; at < disk.length; at += 9 * MEBIBYTE) {
      randomBytes(8 * MEBIBYTE).copy(disk, at);
      disk.fill("Much of this is said again. ", at + 8 * MEBIBYTE, at + 8.5 * MEBIBYTE);
    }
    const plain = join(directory.path, "packed.raw");
    const path = join(directory.path, "packed.qcow2");
    await writeFile(plain, disk);
    await runTool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", plain, path);
    const target = join(directory.path, "target");
    await convertImage({ source: upload(path), target, to: "raw" });
    expect((await readFile(target)).equals(disk)).toBe(true);
  });

  test("with its tables at the end, it is refused at once", { timeout: 60_000 }, async () => {
    const path = join(directory.path, "tables-last.qcow2");
    // Without knowing how long the disk becomes, there is no room for tables in front of it.
    await convertImage({ source: upload(rawPath), target: path, to: "qcow2" });
    const target = join(directory.path, "refused");
    const opening = convertImage({ source: upload(path), target, to: "raw" });
    await expect(opening).rejects.toMatchObject({ code: "IMAGE_NOT_STREAMABLE" });
    await expect(opening).rejects.toThrow(/give it as a file/);
    const fromFile = await convertImage({ source: path, target, to: "raw" });
    expect(fromFile.virtualSizeBytes).toBe(DISK_BYTES);
  });
});

describe("damage that shows only on the way", () => {
  async function changed(change: (image: Buffer) => void, ...options: string[]): Promise<string> {
    const path = await make("qcow2", ...options);
    const image = await readFile(path);
    change(image);
    await writeFile(path, image);
    return path;
  }
  const l2Of = (image: Buffer): number =>
    Number(image.readBigUInt64BE(Number(image.readBigUInt64BE(40))) & 0xfffffffffffe00n);

  test.each<[string, string, (image: Buffer) => void]>([
    [
      "the same data twice",
      "IMAGE_UNSAFE",
      (image) =>
        image.copy(image, l2Of(image) + 8 * 900, l2Of(image) + 8 * 9, l2Of(image) + 8 * 10),
    ],
    [
      "data in the L2 table",
      "IMAGE_CORRUPT",
      (image) => image.writeBigUInt64BE(BigInt(l2Of(image)), l2Of(image) + 8 * 900),
    ],
    [
      "data behind the end",
      "IMAGE_TRUNCATED",
      (image) => image.writeBigUInt64BE(2n ** 40n, l2Of(image) + 8 * 1400),
    ],
    [
      "an ending of another format",
      "IMAGE_UNSAFE",
      (image) => image.write("conectix", image.length - 512),
    ],
  ])("%s: %s", { timeout: 60_000 }, async (_name, code, change) => {
    const source = upload(await changed(change));
    const target = join(directory.path, "damaged");
    await expect(convertImage({ source, target, to: "raw" })).rejects.toMatchObject({ code });
    expect((await readdir(directory.path)).filter((name) => name.includes("damaged"))).toEqual([]);
  });
});
