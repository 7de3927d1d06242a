import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  checkImage,
  convertImage,
  ImageError,
  memoryReader,
  type ConversionProgress,
  type ConvertImageOptions,
} from "../../src/index.ts";
import { openDiskImage } from "../../src/disk/open-disk-image.ts";
import type { DiskImage } from "../../src/disk/disk-image.ts";
import { serveLoopback, sendBytes } from "../support/loopback-server.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;

/** An image whose reading breaks off after some bytes. */
function breaking(image: DiskImage, afterBytes: number, error: unknown): DiskImage {
  return {
    ...image,
    stream: () => ({
      sizeBytes: image.virtualSizeBytes,
      async *[Symbol.asyncIterator]() {
        let bytes = 0;
        for await (const extent of image.stream()) {
          if (bytes >= afterBytes) throw error;
          bytes += extent.type === "data" ? extent.bytes.length : extent.length;
          yield extent;
        }
      },
      [Symbol.asyncDispose]: async () => {},
    }),
  };
}

describe("convertImage", () => {
  const variants: readonly (readonly [
    string,
    Pick<ConvertImageOptions, "to" | "compress">,
    readonly string[],
  ])[] = [
    ["raw", { to: "raw" }, []],
    ["qcow2", { to: "qcow2" }, []],
    ["qcow2 deflate", { to: "qcow2", compress: "deflate" }, ["-c"]],
    ["qcow2 zstd", { to: "qcow2", compress: "zstd" }, ["-c", "-o", "compression_type=zstd"]],
    ["vmdk", { to: "vmdk" }, []],
  ];

  test.each(variants)(
    "%s: with threads, over several tables, as qemu-img reads it",
    { timeout: 120_000 },
    async (_name, variant, qemuArguments) => {
      await using directory = await temporaryDirectory();
      // More than one L2 table and many grain tables, and mostly holes.
      const raw = join(directory.path, "raw");
      await writeFile(raw, rawDisk(24 * MEBIBYTE));
      await runTool("qemu-img", "resize", "-q", "-f", "raw", raw, String(700 * MEBIBYTE + 512));
      const write = `write -P 7 ${600 * MEBIBYTE} 3M`;
      await runTool("qemu-io", "-f", "raw", "-c", write, raw);
      const source = join(directory.path, "source.qcow2");
      await runTool(
        ...(["qemu-img", "convert", "-f", "raw", "-O", "qcow2"] as const),
        ...qemuArguments,
        raw,
        source,
      );
      const target = join(directory.path, "target");
      const converted = await convertImage({ source, target, ...variant, threads: 2 });
      expect(converted.virtualSizeBytes).toBe(700 * MEBIBYTE + 512);
      await runTool("qemu-img", "check", "-q", "-f", variant.to, target).catch(
        (error: { readonly code?: number }) => {
          // 63: the format has no checks.
          if (error.code !== 63) throw error;
        },
      );
      await runTool("qemu-img", "compare", "-q", "-f", "raw", "-F", variant.to, raw, target);
      expect((await stat(target)).blocks * 512).toBeLessThan(40 * MEBIBYTE);
    },
  );

  test("an empty terabyte is a hole, at once, in every format", { timeout: 30_000 }, async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "empty.qcow2");
    await runTool("qemu-img", "create", "-q", "-f", "qcow2", source, "1T");
    for (const to of ["raw", "qcow2", "vmdk"] as const) {
      const target = join(directory.path, to);
      const started = performance.now();
      await convertImage({ source, target, to });
      expect(performance.now() - started).toBeLessThan(5000);
      expect((await stat(target)).blocks * 512).toBeLessThan(MEBIBYTE);
      const info = await runTool("qemu-img", "info", "-f", to, "--output=json", target);
      expect(JSON.parse(info.toString("utf8"))).toMatchObject({ "virtual-size": 2 ** 40 });
      // A raw file would have to be read to its end.
      if (to === "raw") continue;
      const checked = await checkImage({ source: target, expectedFormat: to });
      expect(checked).toMatchObject({ virtualSizeBytes: 2 ** 40, dataBytes: 0 });
    }
  });

  test("takes all digests in one pass", async () => {
    await using directory = await temporaryDirectory();
    const raw = rawDisk();
    const path = await makeQcow2(directory.path, raw, "-c");
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    const target = join(directory.path, "target");
    const digests = { source: ["sha256"] as const, content: true };
    const converted = await convertImage({ source: path, target, to: "raw", digests });
    expect(converted.source.digests?.sha256).toBe(sha256);
    const again = await convertImage({ source: target, target, to: "raw", digests });
    expect(again.contentDigest).toBe(converted.contentDigest);
    expect(again.source.digests?.sha256).toBe(createHash("sha256").update(raw).digest("hex"));
  });

  test("reports truthful progress to its end", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk(4 * MEBIBYTE));
    const reports: ConversionProgress[] = [];
    const target = join(directory.path, "target");
    const converted = await convertImage({
      source,
      target,
      to: "raw",
      onProgress: (progress) => reports.push(progress),
    });
    expect(reports.map(({ phase }) => phase)).toEqual(["storing", "checking"]);
    expect(reports.at(-1)).toMatchObject({ fraction: 1, secondsLeft: 0 });
    expect(reports.at(-1)?.bytesOut).toBe(converted.dataBytes);
  });

  test("replaces what was there, and a symbolic link instead of following it", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk());
    const elsewhere = join(directory.path, "elsewhere");
    await writeFile(elsewhere, "precious");
    const target = join(directory.path, "target");
    await symlink(elsewhere, target);
    await convertImage({ source, target, to: "raw" });
    expect(await readFile(elsewhere, "utf8")).toBe("precious");
    expect((await readFile(target)).equals(rawDisk())).toBe(true);
  });

  test("a failure on the way leaves the old file and nothing else", async () => {
    await using directory = await temporaryDirectory();
    const target = join(directory.path, "target");
    await writeFile(target, "old");
    const image = await openDiskImage(memoryReader(rawDisk(8 * MEBIBYTE)));
    const failure = new ImageError("IMAGE_CORRUPT", "broken on purpose");
    const source = breaking(image, 5 * MEBIBYTE, failure);
    for (const to of ["raw", "qcow2", "vmdk"] as const) {
      await expect(convertImage({ source, target, to })).rejects.toBe(failure);
      expect(await readdir(directory.path)).toEqual(["target"]);
      expect(await readFile(target, "utf8")).toBe("old");
    }
  });

  test("an aborted conversion rejects with the reason and leaves nothing", async () => {
    await using directory = await temporaryDirectory();
    const image = await openDiskImage(memoryReader(rawDisk(8 * MEBIBYTE)));
    const controller = new AbortController();
    const reason = new Error("enough");
    const source: DiskImage = {
      ...image,
      stream: () => {
        controller.abort(reason);
        return image.stream();
      },
    };
    const { signal } = controller;
    const target = join(directory.path, "target");
    await expect(convertImage({ source, target, to: "raw", signal })).rejects.toBe(reason);
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("a source that gives nothing any more is given up", async () => {
    await using directory = await temporaryDirectory();
    const image = await openDiskImage(memoryReader(rawDisk(8 * MEBIBYTE)));
    const { promise: never, resolve } = Promise.withResolvers<void>();
    const source: DiskImage = {
      ...image,
      stream: ({ signal } = {}) => ({
        sizeBytes: image.virtualSizeBytes,
        async *[Symbol.asyncIterator]() {
          signal?.addEventListener("abort", () => resolve());
          if (signal?.aborted !== true) await never;
          signal?.throwIfAborted();
          yield* image.stream();
        },
        [Symbol.asyncDispose]: async () => {},
      }),
    };
    const target = join(directory.path, "target");
    const maxIdleMs = 50;
    await expect(convertImage({ source, target, to: "raw", maxIdleMs })).rejects.toMatchObject({
      code: "IMAGE_SOURCE_STALLED",
    });
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("a disk that is itself an image is refused", async () => {
    await using directory = await temporaryDirectory();
    const inner = await readFile(await makeQcow2(directory.path, rawDisk()));
    const image = await openDiskImage(memoryReader(rawDisk(inner.length)));
    const source: DiskImage = {
      ...image,
      stream: () => ({
        sizeBytes: inner.length,
        async *[Symbol.asyncIterator]() {
          yield { type: "data", bytes: inner.subarray(0, MEBIBYTE) } as const;
          if (inner.length > MEBIBYTE) {
            yield { type: "data", bytes: inner.subarray(MEBIBYTE) } as const;
          }
        },
        [Symbol.asyncDispose]: async () => {},
      }),
    };
    const target = join(directory.path, "target");
    for (const to of ["raw", "qcow2", "vmdk"] as const) {
      await expect(convertImage({ source, target, to })).rejects.toMatchObject({
        code: "IMAGE_UNSAFE",
      });
    }
    expect(await readdir(directory.path)).not.toContain("target");
  });

  test("limits hold for the disk and for the file", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, noise(2 * MEBIBYTE));
    const target = join(directory.path, "target");
    for (const [to, limits] of [
      ["raw", { maxVirtualSizeBytes: MEBIBYTE }],
      ["qcow2", { maxStoredBytes: MEBIBYTE }],
      ["vmdk", { maxStoredBytes: MEBIBYTE }],
    ] as const) {
      await expect(convertImage({ source, target, to, limits })).rejects.toMatchObject({
        code: "IMAGE_TOO_LARGE",
      });
    }
    expect(await readdir(directory.path)).not.toContain("target");
  });

  test("refuses targets and arguments that make no sense", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk());
    const target = join(directory.path, "folder");
    await mkdir(target);
    await expect(convertImage({ source, target, to: "raw" })).rejects.toMatchObject({
      code: "IMAGE_INVALID_ARGUMENT",
    });
    const missing = join(directory.path, "missing", "target");
    await expect(convertImage({ source, target: missing, to: "raw" })).rejects.toMatchObject({
      code: "IMAGE_IO",
    });
    await expect(
      convertImage({ source, target: missing, to: "raw", compress: "zstd" }),
    ).rejects.toMatchObject({ code: "IMAGE_INVALID_ARGUMENT" });
    await expect(
      convertImage({ source, target: missing, to: "raw", expectedFormat: "vmdk" }),
    ).rejects.toMatchObject({ code: "IMAGE_FORMAT_MISMATCH" });
  });

  test("reads a server without ranges in order", async () => {
    await using directory = await temporaryDirectory();
    const raw = rawDisk();
    const image = await readFile(await makeQcow2(directory.path, raw, "-c"));
    await using server = await serveLoopback(sendBytes(image));
    const target = join(directory.path, "target");
    const source = `${server.origin}/disk.qcow2`;
    const digests = { source: ["sha256"] as const };
    const converted = await convertImage({ source, target, to: "raw", digests });
    expect((await readFile(target)).equals(raw)).toBe(true);
    expect(converted.source.digests?.sha256).toBe(createHash("sha256").update(image).digest("hex"));
    expect((await readdir(directory.path)).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
