import { describe, expect, test } from "vitest";
import { memoryReader, openDiskImage, type DiskImage } from "../src/index.ts";
import { collectExtents, collectSparse } from "./support/collect.ts";
import { CORPUS, corpusFile, corpusImage, sha256, type CorpusEntry } from "./support/corpus.ts";

const DISK_FORMATS = new Set(["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx"]);
const OTHERS = new Set(["qed", "parallels", "luks"]);
const HASHED_BYTES = 2 ** 26;

const isDisk = (format: string | undefined): boolean =>
  format === undefined || DISK_FORMATS.has(format) || OTHERS.has(format);
const disks = CORPUS.filter(({ format }) => isDisk(format));
const ofClass = (klass: string): readonly (readonly [string, CorpusEntry])[] =>
  disks.filter((entry) => entry.klass === klass).map((entry) => [entry.file, entry]);

/** The digest of the content; that of raw images is the digest of the image. */
function contentDigest(entry: CorpusEntry): string {
  return entry.raw_sha256 ?? sha256(corpusImage(entry));
}

/** The whole disk by pieces whose ends fall inside of blocks. */
async function readInPieces(image: DiskImage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const step = 100_003;
  for (let offset = 0; offset < image.virtualSizeBytes; offset += step) {
    pieces.push(await image.read(offset, Math.min(step, image.virtualSizeBytes - offset)));
  }
  return Buffer.concat(pieces);
}

describe("valid images", () => {
  test.each(ofClass("valid"))("%s is read to its content", async (_file, entry) => {
    await using image = await openDiskImage(memoryReader(corpusImage(entry)));
    expect(image.format).toBe(entry.format);
    await image.check();
    if (image.virtualSizeBytes > HASHED_BYTES) {
      const extents = await collectExtents(image.stream());
      expect(extents).toEqual([{ type: "hole", length: image.virtualSizeBytes }]);
      expect((await image.read(image.virtualSizeBytes - 4096, 4096)).every((b) => b === 0)).toBe(
        true,
      );
      return;
    }
    expect(sha256(await collectSparse(image.stream()))).toBe(contentDigest(entry));
    expect(sha256(await readInPieces(image))).toBe(contentDigest(entry));
  });

  test.each(ofClass("valid"))("%s is read lazily to its content", async (_file, entry) => {
    await using image = await openDiskImage(memoryReader(corpusImage(entry)), { lazy: true });
    if (image.virtualSizeBytes > HASHED_BYTES) return;
    expect(sha256(await collectSparse(image.stream()))).toBe(contentDigest(entry));
  });
});

describe("images with files beside them", () => {
  test.each(ofClass("valid-multi"))("%s needs an explicit map", async (_file, entry) => {
    const reader = memoryReader(corpusImage(entry));
    await expect(openDiskImage(reader)).rejects.toMatchObject({ code: "IMAGE_UNSAFE" });
    await using image = await openDiskImage(reader, {
      resolveExtent: async (name) => memoryReader(corpusFile(name)),
    });
    expect(sha256(await collectSparse(image.stream()))).toBe(contentDigest(entry));
    expect(sha256(await readInPieces(image))).toBe(contentDigest(entry));
  });
});

async function readWhole(bytes: Buffer): Promise<DiskImage> {
  const image = await openDiskImage(memoryReader(bytes), { maxVirtualSizeBytes: 2 ** 40 });
  for await (const _extent of image.stream());
  return image;
}

describe("hostile images", () => {
  test.each(ofClass("reject"))("%s is refused", async (_file, entry) => {
    await expect(readWhole(corpusImage(entry))).rejects.toMatchObject({
      name: "ImageError",
      code: expect.stringMatching(/^IMAGE_(CORRUPT|TRUNCATED|UNSAFE|UNSUPPORTED|TOO_LARGE|UNREC)/),
    });
  });

  test.each(ofClass("limit"))("%s is stopped", async (_file, entry) => {
    await expect(readWhole(corpusImage(entry))).rejects.toMatchObject({
      code: expect.stringMatching(/^IMAGE_(UNSAFE|TOO_LARGE)$/),
    });
  });

  test.each(ofClass("warn"))("%s is reported", async (_file, entry) => {
    await using image = await readWhole(corpusImage(entry));
    expect(image.warnings).not.toEqual([]);
  });
});

// What remains of these does not show that anything is missing: zeros, one repeated byte, and a
// boot sector without a size.
const SHAPELESS = new Set(["r-zero.img", "r-700.img", "r-fat-vbr.img"]);
// Behind its anchor this one has only zeros, of which nothing speaks.
const LAST_STRUCTURE_END = new Map([["i-udf-only.iso.gz", 257 * 2048]]);

describe("valid images cut short at every twentieth", () => {
  const cuttable = ofClass("valid").filter(([file]) => !SHAPELESS.has(file));
  test.each(cuttable)("%s is refused", { timeout: 60_000 }, async (file, entry) => {
    const whole = corpusImage(entry);
    const end = LAST_STRUCTURE_END.get(file) ?? whole.length;
    const accepted: number[] = [];
    for (let twentieth = 1; twentieth < 20; twentieth += 1) {
      const length = Math.floor((whole.length * twentieth) / 20);
      if (length >= end) break;
      const cut = whole.subarray(0, length);
      await readWhole(cut).then(
        () => accepted.push(twentieth * 5),
        (error: unknown) => expect(error).toMatchObject({ name: "ImageError" }),
      );
    }
    expect(accepted).toEqual([]);
  });
});
