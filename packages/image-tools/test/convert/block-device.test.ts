import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { convertImage } from "../../src/index.ts";
import { loopDevice } from "../support/loop-device.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const raw = rawDisk(6 * MEBIBYTE);
const before = noise(8 * MEBIBYTE, 9);

/** The content of a device after a conversion to it; `source` is made in a directory. */
async function convertToDevice(
  makeSource: (directory: string) => Promise<string>,
  options: { readonly to?: "raw" | "qcow2"; readonly deviceBytes?: number } = {},
): Promise<Buffer> {
  await using directory = await temporaryDirectory();
  const source = await makeSource(directory.path);
  const content = before.subarray(0, options.deviceBytes ?? before.length);
  await using device = await loopDevice(join(directory.path, "device"), content);
  try {
    await convertImage({ source, target: device.path, to: options.to ?? "raw", resume: true });
  } catch (error) {
    expect((await readFile(device.path)).equals(content)).toBe(true);
    throw error;
  }
  return await readFile(device.path);
}

describe("a block device", () => {
  test.each<[string, (directory: string) => Promise<string>]>([
    ["an image", (directory) => makeQcow2(directory, raw)],
    ["compressed clusters", (directory) => makeQcow2(directory, raw, "-c")],
    [
      "a stream of unknown length",
      async (directory) => {
        const path = join(directory, "disk.gz");
        await writeFile(path, gzipSync(raw));
        return path;
      },
    ],
  ])("takes the disk of %s, with its zeros, and keeps what is behind", async (_name, make) => {
    const content = await convertToDevice(make);
    expect(content.subarray(0, raw.length).equals(raw)).toBe(true);
    expect(content.subarray(raw.length).equals(before.subarray(raw.length))).toBe(true);
  });

  test("that is too small is not touched", async () => {
    const converting = convertToDevice((directory) => makeQcow2(directory, raw), {
      deviceBytes: raw.length - 4096,
    });
    await expect(converting).rejects.toMatchObject({ code: "IMAGE_TOO_LARGE" });
  });

  test("takes no other format", async () => {
    const converting = convertToDevice((directory) => makeQcow2(directory, raw), { to: "qcow2" });
    await expect(converting).rejects.toMatchObject({ code: "IMAGE_UNSUPPORTED" });
  });

  test("that is full ends the conversion of a stream", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "disk.gz");
    await writeFile(source, gzipSync(noise(8 * MEBIBYTE, 2)));
    const small = before.subarray(0, 4 * MEBIBYTE);
    await using device = await loopDevice(join(directory.path, "device"), small);
    const converting = convertImage({ source, target: device.path, to: "raw" });
    await expect(converting).rejects.toMatchObject({ code: "IMAGE_IO" });
    await expect(converting).rejects.toThrow(/no space left/);
  });
});
