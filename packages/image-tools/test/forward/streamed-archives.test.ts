import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  convertImage,
  fromStream,
  type ConvertedImage,
  type ForwardSource,
} from "../../src/index.ts";
import { corpusFile } from "../support/corpus.ts";
import { makeTar, ovaFiles } from "../support/made-ova.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const first = rawDisk(1024 * 1024, 1);
const second = rawDisk(2 * 1024 * 1024, 2);

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 7000) yield bytes.subarray(at, at + 7000);
}

const upload = (bytes: Uint8Array): ForwardSource => fromStream(inPieces(bytes));

async function convert(
  bytes: Uint8Array,
  member?: string,
): Promise<{ readonly converted: ConvertedImage; readonly disk: Buffer }> {
  await using directory = await temporaryDirectory();
  const target = join(directory.path, "target");
  try {
    const converted = await convertImage({ source: upload(bytes), target, to: "raw", member });
    return { converted, disk: await readFile(target) };
  } catch (error) {
    expect(await readdir(directory.path)).toEqual([]);
    throw error;
  }
}

const codeOf = async (bytes: Uint8Array, member?: string): Promise<unknown> =>
  convert(bytes, member).then(
    () => undefined,
    (error: unknown) => (error as { readonly code?: unknown }).code,
  );

describe("an OVA that comes as a stream", () => {
  const { descriptor, manifest, disks } = ovaFiles(first, second);

  test("is read wherever its manifest is", async () => {
    for (const files of [
      [descriptor, ...disks],
      [descriptor, manifest, ...disks],
      [descriptor, ...disks, manifest],
    ]) {
      const bytes = await makeTar(...files);
      const { converted, disk } = await convert(bytes, "disk1.img");
      expect(disk.equals(second)).toBe(true);
      expect(converted.source).toEqual({ format: "raw", wrappers: ["ova"] });
      const wrapped = await convert(gzipSync(bytes), "d0");
      expect(wrapped.disk.equals(first)).toBe(true);
      expect(wrapped.converted.source.wrappers).toEqual(["gz", "ova"]);
    }
  });

  test("is refused when a member is not that of the manifest, or missing", async () => {
    for (const changed of [0, 1]) {
      const others = disks.map(([name, bytes], index) => {
        const copy = Buffer.from(bytes);
        if (index === changed) copy.writeUInt8(0x11, 300_000);
        return [name, copy] as const;
      });
      for (const files of [
        [descriptor, manifest, ...others],
        [descriptor, ...others, manifest],
      ]) {
        expect(await codeOf(await makeTar(...files), "d0")).toBe("IMAGE_CHECKSUM_MISMATCH");
      }
    }
    const [disk0 = disks[0]] = disks;
    if (disk0 === undefined) throw new Error("there is no disk");
    expect(await codeOf(await makeTar(descriptor, manifest, disk0), "d0")).toBe("IMAGE_CORRUPT");
    expect(await codeOf(await makeTar(descriptor, disk0), "d1")).toBe("IMAGE_CORRUPT");
  });

  test("with several disks wants one to be chosen", async () => {
    const bytes = await makeTar(descriptor, ...disks);
    expect(await codeOf(bytes)).toBe("IMAGE_INVALID_ARGUMENT");
    expect(await codeOf(bytes, "d7")).toBe("IMAGE_NOT_FOUND");
  });

  test("cut at every 5 % is never accepted", async () => {
    const bytes = await makeTar(descriptor, manifest, ...disks);
    for (let part = 0; part < 100; part += 5) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * part) / 100));
      expect(await codeOf(cut, "d1")).toMatch(/^IMAGE_/);
    }
  });
});

describe("a tar archive that comes as a stream", () => {
  test("gives its one file, whatever that is", async () => {
    await using directory = await temporaryDirectory();
    const image = await readFile(await makeQcow2(directory.path, second, "-c"));
    for (const [content, format] of [
      [second, "raw"],
      [image, "qcow2"],
    ] as const) {
      const { converted, disk } = await convert(gzipSync(await makeTar(["disk", content])));
      expect(disk.equals(second)).toBe(true);
      expect(converted.source).toEqual({ format, wrappers: ["gz", "tar"] });
    }
  });

  test("with several files wants one to be chosen", async () => {
    const bytes = await makeTar(["disk.raw", first], ["notes", noise(600)]);
    expect(await codeOf(bytes)).toBe("IMAGE_UNRECOGNISED");
    expect((await convert(bytes, "disk.raw")).disk.equals(first)).toBe(true);
    expect(await codeOf(bytes, "other")).toBe("IMAGE_NOT_FOUND");
    expect(await codeOf(await makeTar())).toMatch(/^IMAGE_/);
  });

  test("is not unpacked twice, nor taken for what it is not", async () => {
    const twice = gzipSync(await makeTar(["disk.gz", gzipSync(second)]));
    expect(await codeOf(twice)).toBe("IMAGE_UNSUPPORTED");
    const nested = await makeTar(["inner.tar", await makeTar(["disk.raw", first])]);
    expect(await codeOf(nested)).toBe("IMAGE_UNSUPPORTED");
    expect(await codeOf(await makeTar(["../disk.raw", first]))).toBe("IMAGE_UNSAFE");
    expect(await codeOf(await makeTar(["disk", first], ["disk", first]))).toMatch(/^IMAGE_/);
    expect(await codeOf(corpusFile("oci-gzip.tar"))).toBe("IMAGE_NOT_STREAMABLE");
  });
});
