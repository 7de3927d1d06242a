import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isImageError, memoryReader, openFileReader, openQcow2 } from "../src/index.ts";
import { collectExtents, collectSparse } from "./support/collect.ts";
import { makeQcow2, noise, rawDisk } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const MAX_DAMAGED_DISK_BYTES = 64 * 1024 * 1024;

async function readAll(path: string): Promise<Buffer> {
  await using image = await openQcow2(await openFileReader(path));
  return await collectSparse(image.stream());
}

describe("images written by qemu-img", () => {
  test.each([
    ["default", []],
    ["version 2", ["-o", "compat=0.10"]],
    ["version 2 compressed", ["-c", "-o", "compat=0.10"]],
    ["512-byte clusters", ["-o", "cluster_size=512"]],
    ["512-byte clusters compressed", ["-c", "-o", "cluster_size=512"]],
    ["4 KiB clusters compressed", ["-c", "-o", "cluster_size=4k"]],
    ["2 MiB clusters compressed", ["-c", "-o", "cluster_size=2M"]],
    ["deflate", ["-c"]],
    ["out-of-order writes", ["-c", "-W", "-m", "16"]],
    ["zstd", ["-c", "-o", "compression_type=zstd"]],
    ["zstd with 4 KiB clusters", ["-c", "-o", "compression_type=zstd,cluster_size=4k"]],
    ["extended L2", ["-o", "extended_l2=on,cluster_size=128k"]],
    ["extended L2 compressed", ["-c", "-o", "extended_l2=on,cluster_size=128k"]],
    ["lazy refcounts", ["-o", "lazy_refcounts=on"]],
    ["1-bit refcounts", ["-o", "refcount_bits=1"]],
    ["preallocated metadata", ["-o", "preallocation=metadata"]],
    ["fully preallocated", ["-o", "preallocation=full"]],
  ])("%s: content equals the source", { timeout: 60_000 }, async (_name, args) => {
    await using directory = await temporaryDirectory();
    // Not a multiple of any cluster size, so that the last cluster is short.
    const raw = rawDisk(3 * 1024 * 1024 + 1536);
    const content = await readAll(await makeQcow2(directory.path, raw, ...args));
    expect(content.equals(raw)).toBe(true);
  });

  test(
    "random writes, zeros, discards and snapshots: content equals qemu-img convert",
    { timeout: 300_000 },
    async () => {
      const sectors = 4096;
      const step = fc.record({
        kind: fc.constantFrom("write -P 7", "write -P 0", "write -z", "write -z -u", "discard"),
        start: fc.integer({ min: 0, max: sectors - 1 }),
        length: fc.integer({ min: 1, max: 600 }),
      });
      const layout = fc.record({
        steps: fc.array(step, { minLength: 1, maxLength: 25 }),
        options: fc.constantFrom(
          "cluster_size=512",
          "cluster_size=4k",
          "cluster_size=64k",
          "cluster_size=64k,compat=0.10",
          "cluster_size=16k,extended_l2=on",
          "cluster_size=128k,extended_l2=on",
        ),
        snapshotAfter: fc.integer({ min: 0, max: 30 }),
      });
      await fc.assert(
        fc.asyncProperty(layout, async ({ steps, options, snapshotAfter }) => {
          await using directory = await temporaryDirectory();
          const image = join(directory.path, "image.qcow2");
          const expected = join(directory.path, "expected.raw");
          const size = String(sectors * 512);
          await runTool("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, image, size);
          const commands = steps.map(({ kind, start, length }) => {
            const count = Math.min(length, sectors - start);
            return `${kind} ${start * 512} ${count * 512}`;
          });
          const apply = (part: readonly string[]): Promise<Buffer> => {
            const args = part.flatMap((command) => ["-c", command]);
            return runTool("qemu-io", "-d", "unmap", "-f", "qcow2", ...args, image);
          };
          const before = commands.slice(0, snapshotAfter);
          const after = commands.slice(snapshotAfter);
          if (before.length > 0) await apply(before);
          if (after.length > 0) {
            await runTool("qemu-img", "snapshot", "-c", "s", image);
            await apply(after);
          }
          await runTool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, expected);
          expect((await readAll(image)).equals(await readFile(expected))).toBe(true);
        }),
        { numRuns: 40 },
      );
    },
  );

  test("an empty disk of 1 TiB is one hole, at once", { timeout: 30_000 }, async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "image.qcow2");
    await runTool("qemu-img", "create", "-q", "-f", "qcow2", path, "1T");
    const started = performance.now();
    await using image = await openQcow2(await openFileReader(path));
    const extents = await collectExtents(image.stream());
    expect(performance.now() - started).toBeLessThan(1000);
    expect(extents).toEqual([{ type: "hole", length: 2 ** 40 }]);
    expect(image.allocatedBytes).toBe(0);
  });

  test("reports sizes, and streams a prefix", async () => {
    await using directory = await temporaryDirectory();
    const raw = rawDisk();
    const path = await makeQcow2(directory.path, raw, "-c");
    await using image = await openQcow2(await openFileReader(path));
    expect(image).toMatchObject({ virtualSizeBytes: raw.length, clusterSizeBytes: 65536 });
    expect(image.allocatedBytes).toBeGreaterThan(raw.length / 4);
    expect(image.allocatedBytes).toBeLessThan(raw.length);
    const report = await image.check();
    expect(report).toMatchObject({ allocatedBytes: image.allocatedBytes, dirty: false });
    // qemu-img stores noise as it is and compresses the text.
    expect(report.compressedClusters).toBeGreaterThan(0);
    expect(report.compressedClusters).toBeLessThan(report.allocatedBytes / 65536);
    const prefix = await collectSparse(image.stream(300_001));
    expect(prefix.equals(raw.subarray(0, 300_001))).toBe(true);
    expect(() => image.stream(raw.length + 1)).toThrow("lengthBytes");
  });
});

describe("damaged images", () => {
  async function readDamaged(bytes: Buffer): Promise<Buffer> {
    const limits = { maxVirtualSizeBytes: MAX_DAMAGED_DISK_BYTES };
    await using image = await openQcow2(memoryReader(bytes), limits);
    return await collectSparse(image.stream());
  }

  test.each([
    ["uncompressed", []],
    ["deflate", ["-c"]],
    ["zstd", ["-c", "-o", "compression_type=zstd"]],
    ["extended L2", ["-o", "extended_l2=on"]],
  ])(
    "%s: refused when cut at every tenth and one byte short",
    { timeout: 60_000 },
    async (_name, args) => {
      await using directory = await temporaryDirectory();
      // The end of the disk is in use, so that the end of the file is data of the disk.
      const raw = Buffer.concat([rawDisk(), noise(256 * 1024, 9)]);
      const whole = await readFile(await makeQcow2(directory.path, raw, ...args));
      const lastByte = whole.findLastIndex((byte) => byte !== 0);
      const ends = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((tenth) =>
        Math.floor((whole.length * tenth) / 10),
      );
      for (const end of [8, 100, ...ends, lastByte]) {
        await expect(openQcow2(memoryReader(whole.subarray(0, end)))).rejects.toMatchObject({
          code: "IMAGE_TRUNCATED",
        });
      }
    },
  );

  test("a flipped bit in compressed data is noticed while reading", async () => {
    await using directory = await temporaryDirectory();
    const text = Buffer.alloc(1024 * 1024, "All work and no play makes a dull boy. ");
    const bytes = await readFile(await makeQcow2(directory.path, text, "-c"));
    const used = 5 * 65536;
    bytes.fill(0xff, used, used + 40);
    await using image = await openQcow2(memoryReader(bytes));
    await expect(collectSparse(image.stream())).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
  });

  test(
    "random damage never crashes, hangs or gives another size",
    { timeout: 120_000 },
    async () => {
      await using directory = await temporaryDirectory();
      const raw = rawDisk(512 * 1024);
      const path = await makeQcow2(directory.path, raw, "-c", "-o", "cluster_size=4k");
      const whole = await readFile(path);
      const metadata = 6 * 4096;
      const damage = fc.array(
        fc.tuple(fc.integer({ min: 0, max: metadata - 1 }), fc.integer({ min: 0, max: 255 })),
        { minLength: 1, maxLength: 4 },
      );
      await fc.assert(
        fc.asyncProperty(damage, async (patches) => {
          const bytes = Buffer.from(whole);
          for (const [offset, value] of patches) bytes[offset] = value;
          const reading = readDamaged(bytes);
          const outcome = await reading.then(
            (content) => content.length <= MAX_DAMAGED_DISK_BYTES,
            (error: unknown) => isImageError(error),
          );
          expect(outcome).toBe(true);
        }),
        { numRuns: 500 },
      );
    },
  );
});
