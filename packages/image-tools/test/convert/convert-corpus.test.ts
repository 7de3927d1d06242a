import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { checkImage, convertImage, isImageError } from "../../src/index.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const corpus = new URL("../fixtures/corpus/", import.meta.url);

const WRAPPERS = new Set(["gz", "xz", "zst", "bz2", "ova", "oci", "tar"]);

interface Entry {
  readonly file: string;
  readonly klass: string;
  readonly why: string;
  readonly format?: string;
  readonly inner?: string;
  readonly stored?: string;
  readonly raw_sha256?: string;
}

const manifest = JSON.parse(
  await readFile(new URL("manifest.json", corpus), "utf8"),
) as readonly Entry[];

const convertible = manifest;

async function unpack(entry: Entry, directory: string): Promise<string> {
  const stored = await readFile(new URL(entry.file, corpus));
  const path = join(directory, basename(entry.file));
  await writeFile(path, entry.stored === undefined ? stored : gunzipSync(stored));
  return path;
}

async function sha256Of(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

describe("images of the corpus", () => {
  const valid = convertible.filter(
    ({ klass, raw_sha256 }) => klass === "valid" && raw_sha256 !== undefined,
  );
  const small = valid.filter(({ file }) => file !== "q-empty-1T.qcow2.gz");

  test("there are many of each class", () => {
    expect(small.length).toBeGreaterThan(20);
  });

  test.each(small.map((entry) => [entry.file, entry] as const))(
    "%s: every format holds the same disk",
    { timeout: 60_000 },
    async (_file, entry) => {
      await using directory = await temporaryDirectory();
      const source = await unpack(entry, directory.path);
      const raw = join(directory.path, "out.raw");
      const digests = { content: true };
      const converted = await convertImage({ source, target: raw, to: "raw", digests });
      expect(await sha256Of(raw)).toBe(entry.raw_sha256);
      const isWrapped = WRAPPERS.has(entry.format ?? "");
      expect(converted.source.wrappers).toEqual(isWrapped ? [entry.format] : []);

      const other = join(directory.path, "out.other");
      for (const [to, compress] of [
        ["qcow2", undefined],
        ["qcow2", "deflate"],
        ["qcow2", "zstd"],
        ["vmdk", undefined],
      ] as const) {
        // A VMDK image counts in sectors.
        if (to === "vmdk" && converted.virtualSizeBytes % 512 !== 0) continue;
        const first = await convertImage({ source, target: other, to, compress, digests });
        expect(first.contentDigest).toBe(converted.contentDigest);
        await runTool("qemu-img", "check", "-q", "-f", to, other);
        await runTool("qemu-img", "compare", "-q", "-f", "raw", "-F", to, raw, other);
        const checked = await checkImage({ source: other, digests, expectedFormat: to });
        expect(checked.contentDigest).toBe(converted.contentDigest);
      }
    },
  );

  test("a disk of no bytes becomes a whole qcow2 image", async () => {
    await using directory = await temporaryDirectory();
    const entry = convertible.find(({ file }) => file === "m-size0.qcow2.gz") as Entry;
    const source = await unpack(entry, directory.path);
    const target = join(directory.path, "out.qcow2");
    const converted = await convertImage({ source, target, to: "qcow2" });
    expect(converted.virtualSizeBytes).toBe(0);
    await runTool("qemu-img", "check", "-q", "-f", "qcow2", target);
  });

  const bad = convertible.filter(({ klass }) => klass === "reject");
  test.each(bad.map((entry) => [entry.file, entry.why, entry] as const))(
    "%s is refused and leaves nothing (%s)",
    { timeout: 60_000 },
    async (_file, _why, entry) => {
      await using directory = await temporaryDirectory();
      const source = await unpack(entry, directory.path);
      const target = join(directory.path, "out.raw");
      const outcome = await convertImage({ source, target, to: "raw" }).catch(
        (error: unknown) => error,
      );
      expect(isImageError(outcome), String(outcome)).toBe(true);
      expect(await readdir(directory.path)).toEqual([basename(entry.file)]);
    },
  );

  const limited = convertible.filter(({ klass }) => klass === "limit");
  test.each(limited.map((entry) => [entry.file, entry.why, entry] as const))(
    "%s is stopped at the limit (%s)",
    { timeout: 60_000 },
    async (_file, _why, entry) => {
      await using directory = await temporaryDirectory();
      const source = await unpack(entry, directory.path);
      const target = join(directory.path, "out.raw");
      const limits = { maxVirtualSizeBytes: 32 * 1024 * 1024 };
      await expect(convertImage({ source, target, to: "raw", limits })).rejects.toMatchObject({
        code: "IMAGE_TOO_LARGE",
      });
      expect(await readdir(directory.path)).toEqual([basename(entry.file)]);
    },
  );

  const multiple = convertible.filter(({ klass }) => klass === "valid-multi");
  test.each(multiple.map((entry) => [entry.file, entry] as const))(
    "%s: other files are never opened",
    async (_file, entry) => {
      await using directory = await temporaryDirectory();
      const source = await unpack(entry, directory.path);
      const target = join(directory.path, "out.raw");
      await expect(convertImage({ source, target, to: "raw" })).rejects.toMatchObject({
        code: "IMAGE_UNSAFE",
      });
    },
  );
});
