import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  memoryReader,
  openDiskImage,
  type DiskFormat,
  type ImageErrorCode,
} from "../../src/index.ts";
import { collectSparse } from "./collect.ts";
import { rawDisk } from "./made-images.ts";
import { runTool } from "./run-tool.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;

/** How qemu-img is to write an image. */
export interface Layout {
  readonly format: DiskFormat;
  readonly driver: string;
  readonly options?: string;
}

/** Writes a raw disk in that way; it stays in `folder` as `source.raw`. */
export async function makeLayout(folder: string, raw: Uint8Array, layout: Layout): Promise<string> {
  const source = join(folder, "source.raw");
  const target = join(folder, `image.${layout.driver}`);
  await writeFile(source, raw);
  const options = layout.options === undefined ? [] : ["-o", layout.options];
  const convert = ["convert", "-f", "raw", "-O", layout.driver, ...options];
  await runTool("qemu-img", ...convert, source, target);
  return target;
}

/** Changes an image where it is, or gives another one. */
export type Patch = (image: Buffer) => Buffer | undefined;

/** Sets 32 bits, little-endian. */
export function setWord(at: number, value: number): Patch {
  return (image) => {
    image.writeUInt32LE(value, at);
    return undefined;
  };
}

/** What an image becomes by a patch: the error that reading it must give. */
export type DamageCase = readonly [
  name: string,
  layout: Layout,
  code: ImageErrorCode,
  patch: Patch,
];

const made = new Map<string, Promise<Buffer>>();

/** A copy of an image that is written in that way. */
export async function sampleOf(layout: Layout): Promise<Buffer> {
  const key = JSON.stringify(layout);
  const making =
    made.get(key) ??
    (async () => {
      await using folder = await temporaryDirectory();
      const raw = Buffer.concat([rawDisk(3 * MEBIBYTE), Buffer.alloc(8 * MEBIBYTE)]);
      return await readFile(await makeLayout(folder.path, raw, layout));
    })();
  made.set(key, making);
  return Buffer.from(await making);
}

async function readAll(image: Buffer): Promise<void> {
  await using disk = await openDiskImage(memoryReader(image));
  await collectSparse(disk.stream());
}

/** Tests that every case is refused, and that no layout is accepted when it is cut short. */
export function testDamage(layouts: readonly Layout[], cases: readonly DamageCase[]): void {
  test.each(cases)("%s is refused", { timeout: 60_000 }, async (_name, layout, code, patch) => {
    const image = await sampleOf(layout);
    await expect(readAll(image)).resolves.toBeUndefined();
    await expect(readAll(patch(image) ?? image)).rejects.toMatchObject({ code });
  });

  test.each(layouts)(
    "$driver $options: refused when cut at every twentieth",
    { timeout: 120_000 },
    async (layout) => {
      const image = await sampleOf(layout);
      for (let twentieth = 0; twentieth < 20; twentieth += 1) {
        const cut = image.subarray(0, Math.floor((image.length * twentieth) / 20));
        await expect(readAll(cut)).rejects.toMatchObject({ name: "ImageError" });
      }
    },
  );
}
