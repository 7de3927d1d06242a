import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  checkImage,
  convertImage,
  fromStream,
  isImageError,
  type ForwardSource,
} from "../../src/index.ts";
import { CORPUS, corpusFile, corpusImage, sha256, type CorpusEntry } from "../support/corpus.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

// What nothing in it tells the end of, or the end of which is only zeros.
const SHAPELESS = new Set(["r-zero.img", "r-700.img", "r-fat-vbr.img", "i-udf-only.iso.gz"]);
const TOO_LARGE_TO_HASH = "q-empty-1T.qcow2.gz";
const DISK_BEFORE_DESCRIPTOR = "t-mflast.ova.gz";

const bytesOf = (entry: CorpusEntry): Buffer =>
  entry.stored === undefined ? corpusFile(entry.file) : corpusImage(entry);

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000);
}

const upload = (bytes: Uint8Array): ForwardSource => fromStream(inPieces(bytes));

const ofClass = (...classes: readonly string[]): readonly (readonly [string, CorpusEntry])[] =>
  CORPUS.filter(({ klass, format }) => classes.includes(klass) && format !== "oci").map(
    (entry) => [entry.file, entry] as const,
  );

describe("images of the corpus that come as streams", () => {
  test.each(ofClass("valid"))("%s is the same disk", async (file, entry) => {
    await using directory = await temporaryDirectory();
    const target = join(directory.path, "target");
    const converting = convertImage({ source: upload(bytesOf(entry)), target, to: "raw" });
    if (file === DISK_BEFORE_DESCRIPTOR) {
      await expect(converting).rejects.toMatchObject({ code: "IMAGE_NOT_STREAMABLE" });
      return;
    }
    await converting;
    const isKnown = entry.raw_sha256 !== undefined && file !== TOO_LARGE_TO_HASH;
    if (isKnown) expect(sha256(await readFile(target))).toBe(entry.raw_sha256);
  });

  test.each(ofClass("reject", "limit"))(
    "%s is refused and leaves nothing",
    async (_file, entry) => {
      await using directory = await temporaryDirectory();
      const target = join(directory.path, "target");
      const outcome = await convertImage({
        source: upload(bytesOf(entry)),
        target,
        to: "raw",
      }).catch((error: unknown) => error);
      expect(isImageError(outcome), String(outcome)).toBe(true);
      if (entry.klass === "limit") expect(outcome).toMatchObject({ code: "IMAGE_TOO_LARGE" });
      expect(await readdir(directory.path)).toEqual([]);
    },
  );
});

describe("cut at every twentieth, no image is accepted", () => {
  const cuttable = ofClass("valid").filter(([file]) => !SHAPELESS.has(file));
  test.each(cuttable)(
    "%s, as a stream and as a file",
    { timeout: 60_000 },
    async (_file, entry) => {
      await using directory = await temporaryDirectory();
      const path = join(directory.path, "cut");
      const whole = bytesOf(entry);
      const accepted: string[] = [];
      for (let twentieth = 0; twentieth < 20; twentieth += 1) {
        const cut = whole.subarray(0, Math.floor((whole.length * twentieth) / 20));
        await writeFile(path, cut);
        for (const source of [upload(cut), path]) {
          await checkImage({ source, threads: 1 }).then(
            () => accepted.push(`${typeof source} at ${twentieth * 5} %`),
            (error: unknown) => expect(error).toMatchObject({ name: "ImageError" }),
          );
        }
      }
      expect(accepted).toEqual([]);
    },
  );
});
