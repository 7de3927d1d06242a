import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { memoryReader, openDiskImage, openFileReader, type DiskImage } from "../../src/index.ts";
import { collectExtents, collectSparse } from "../support/collect.ts";
import { noise, rawDisk } from "../support/made-images.ts";
import { makeLayout, type Layout } from "../support/made-layouts.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;

const LAYOUTS: readonly (readonly [string, Layout])[] = [
  ["VMDK monolithicSparse", { format: "vmdk", driver: "vmdk" }],
  ["VMDK with zeroed grains", { format: "vmdk", driver: "vmdk", options: "zeroed_grain=on" }],
  [
    "VMDK streamOptimized",
    { format: "vmdk", driver: "vmdk", options: "subformat=streamOptimized" },
  ],
  ["VMDK monolithicFlat", { format: "vmdk", driver: "vmdk", options: "subformat=monolithicFlat" }],
  [
    "VMDK twoGbMaxExtentSparse",
    { format: "vmdk", driver: "vmdk", options: "subformat=twoGbMaxExtentSparse" },
  ],
  [
    "VMDK twoGbMaxExtentFlat",
    { format: "vmdk", driver: "vmdk", options: "subformat=twoGbMaxExtentFlat" },
  ],
  ["VDI dynamic", { format: "vdi", driver: "vdi" }],
  ["VDI static", { format: "vdi", driver: "vdi", options: "static=on" }],
  ["VHD dynamic", { format: "vhd", driver: "vpc" }],
  ["VHD dynamic with exact size", { format: "vhd", driver: "vpc", options: "force_size=on" }],
  ["VHD fixed", { format: "vhd", driver: "vpc", options: "subformat=fixed" }],
  ["VHDX dynamic", { format: "vhdx", driver: "vhdx" }],
  ["VHDX fixed", { format: "vhdx", driver: "vhdx", options: "subformat=fixed" }],
  ["VHDX with 1 MiB blocks", { format: "vhdx", driver: "vhdx", options: "block_size=1M" }],
];

async function openMade(path: string): Promise<DiskImage> {
  return openDiskImage(await openFileReader(path), {
    resolveExtent: (name) => openFileReader(join(dirname(path), basename(name))),
  });
}

describe("images written by qemu-img", () => {
  test.each(LAYOUTS)(
    "%s: content equals the source",
    { timeout: 60_000 },
    async (_name, layout) => {
      await using folder = await temporaryDirectory();
      // Neither the disk nor its last block are whole multiples of the blocks.
      const raw = Buffer.concat([
        rawDisk(3 * MEBIBYTE),
        Buffer.alloc(9 * MEBIBYTE),
        noise(MEBIBYTE + 70 * 512, 5),
      ]);
      const path = await makeLayout(folder.path, raw, layout);
      const expected = join(folder.path, "expected.raw");
      await runTool("qemu-img", "convert", "-f", layout.driver, "-O", "raw", path, expected);
      await using image = await openMade(path);
      expect(image).toMatchObject({ format: layout.format, warnings: [] });
      const content = await collectSparse(image.stream());
      const reference = await readFile(expected);
      expect(content.equals(reference)).toBe(true);
      for (const [offset, length] of [
        [0, 512],
        [3 * MEBIBYTE - 1000, 3000],
        [content.length - 70_001, 70_001],
        [12 * MEBIBYTE + 1, 65_536],
      ] as const) {
        const bytes = await image.read(offset, length);
        expect(bytes.equals(reference.subarray(offset, offset + length))).toBe(true);
      }
      await image.check();
    },
  );

  test.each(LAYOUTS)(
    "%s: an empty disk is one hole",
    { timeout: 60_000 },
    async (_name, layout) => {
      await using folder = await temporaryDirectory();
      const path = join(folder.path, "image");
      const options = layout.options === undefined ? [] : ["-o", layout.options];
      await runTool("qemu-img", "create", "-q", "-f", layout.driver, ...options, path, "64M");
      await using image = await openMade(path);
      const extents = await collectExtents(image.stream());
      expect(extents).toEqual([{ type: "hole", length: image.virtualSizeBytes }]);
    },
  );

  test("reads outside the disk are refused", async () => {
    await using image = await openDiskImage(memoryReader(rawDisk()));
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [MEBIBYTE, 1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      await expect(image.read(offset, length)).rejects.toMatchObject({
        code: "IMAGE_INVALID_ARGUMENT",
      });
    }
    expect((await image.read(MEBIBYTE, 0)).length).toBe(0);
  });

  test("an aborted call rejects with its reason", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    const reader = memoryReader(rawDisk());
    await expect(openDiskImage(reader, { signal })).rejects.toThrow("enough");
    await using image = await openDiskImage(reader);
    await expect(image.read(0, 1, { signal })).rejects.toThrow("enough");
    await expect(collectSparse(image.stream({ signal }))).rejects.toThrow("enough");
  });
});

describe("an expected format", () => {
  test("opens raw disks on which nothing is recognised, and text", async () => {
    for (const bytes of [Buffer.alloc(100), Buffer.from("plain text"), noise(2048)]) {
      await using image = await openDiskImage(memoryReader(bytes), { expectedFormat: "raw" });
      expect(image).toMatchObject({ format: "raw", warnings: [], virtualSizeBytes: bytes.length });
    }
  });

  test.each([
    ["raw", "image.vmdk"],
    ["qcow2", "image.vmdk"],
    ["vmdk", "source.raw"],
  ] as const)("%s refuses %s", async (expectedFormat, file) => {
    await using folder = await temporaryDirectory();
    await makeLayout(folder.path, rawDisk(), { format: "vmdk", driver: "vmdk" });
    const bytes = await readFile(join(folder.path, file));
    await expect(openDiskImage(memoryReader(bytes), { expectedFormat })).rejects.toMatchObject({
      code: "IMAGE_FORMAT_MISMATCH",
    });
  });
});
