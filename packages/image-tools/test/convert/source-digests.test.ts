import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkImage, convertImage, memoryReader, openDiskImage } from "../../src/index.ts";
import { DigestInPassing } from "../../src/digest/digest-in-passing.ts";
import { serveLoopback } from "../support/loopback-server.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { makeOva, makeTar } from "../support/made-ova.ts";
import { serveRanges } from "../support/range-server.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const ALGORITHMS = ["md5", "sha1", "sha256", "sha512"] as const;

const digestOf = (algorithm: string, bytes: Uint8Array): string =>
  createHash(algorithm).update(bytes).digest("hex");

const allOf = (bytes: Uint8Array): Record<string, string> =>
  Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, digestOf(algorithm, bytes)]));

describe("digests of the source", () => {
  test("of a file: several at once, computed and verified", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk());
    const all = allOf(await readFile(source));
    const target = join(directory.path, "target");
    const { sha512 = "", md5 = "" } = all;
    const converted = await convertImage({
      source,
      target,
      to: "raw",
      digests: { source: ["md5", "sha1", "sha256"] },
      checksum: { sha512: sha512.toUpperCase(), md5 },
    });
    expect(converted.source.digests).toEqual(all);
    const before = await readdir(directory.path);
    const wrong = { ...all, sha1: "0".repeat(40) };
    for (const to of ["raw", "qcow2"] as const) {
      const other = join(directory.path, "other");
      await expect(
        convertImage({ source, target: other, to, checksum: wrong, resume: to === "raw" }),
      ).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    }
    await expect(checkImage({ source, checksum: wrong })).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    await expect(checkImage({ source, checksum: { sha256: "ab" } })).rejects.toMatchObject({
      code: "IMAGE_INVALID_ARGUMENT",
    });
    expect(await readdir(directory.path)).toEqual(before);
    await using image = await openDiskImage(memoryReader(await readFile(source)));
    await expect(checkImage({ source: image, digests: { source: ["md5"] } })).rejects.toMatchObject(
      { code: "IMAGE_INVALID_ARGUMENT" },
    );
  });

  test.each([
    ["an image", async (image: Buffer) => image],
    ["an OVA with a manifest", async (image: Buffer) => makeOva(image)],
  ])("of %s on a server: everything is fetched once", { timeout: 60_000 }, async (_name, wrap) => {
    await using directory = await temporaryDirectory();
    const raw = Buffer.concat([rawDisk(2 * MEBIBYTE), noise(40 * MEBIBYTE, 4)]);
    const bytes = await wrap(await readFile(await makeQcow2(directory.path, raw)));
    let sent = 0;
    const fault = ({ body }: { readonly body: Uint8Array }): void => {
      sent += body.length;
    };
    await using server = await serveLoopback(serveRanges(bytes, { etag: '"1"', fault }));
    const target = join(directory.path, "target");
    const source = `${server.origin}/image`;
    const digests = { source: ALGORITHMS };
    const converted = await convertImage({ source, target, to: "raw", digests });
    expect((await readFile(target)).equals(raw)).toBe(true);
    expect(converted.source.digests).toEqual(allOf(bytes));
    expect(sent).toBeLessThan(bytes.length * 1.1);
  });

  test("in passing, whatever the order of reading", async () => {
    const bytes = noise(3 * MEBIBYTE, 8);
    for (const order of [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 0, 5], []]) {
      const hash = createHash("sha256");
      const passing = new DigestInPassing(memoryReader(bytes), (part) => hash.update(part));
      for (const at of order) await passing.reader.read(at * 512_345, 500_000);
      await passing.finish();
      expect(hash.digest("hex")).toBe(digestOf("sha256", bytes));
    }
  });
});

describe("a disk of an archive", () => {
  const first = rawDisk(MEBIBYTE, 1);
  const second = rawDisk(MEBIBYTE, 2);

  test("is chosen by its member or id, and never guessed", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "two.ova");
    await writeFile(source, await makeOva(first, second));
    const target = join(directory.path, "target");
    const choosing = convertImage({ source, target, to: "raw" });
    await expect(choosing).rejects.toMatchObject({ code: "IMAGE_INVALID_ARGUMENT" });
    await expect(choosing).rejects.toThrow('choose one of them: "disk0.img", "disk1.img"');
    await expect(
      convertImage({ source, target, to: "raw", member: "disk7.img" }),
    ).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    for (const [member, expected] of [
      ["disk0.img", first],
      ["disk1.img", second],
      ["d1", second],
    ] as const) {
      await convertImage({ source, target, to: "raw", member });
      expect((await readFile(target)).equals(expected)).toBe(true);
    }
  });

  test("is not accepted when any member differs from the manifest", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "two.ova");
    const target = join(directory.path, "target");
    const good = await makeOva(first, second);
    for (const disk of [first, second]) {
      const bad = Buffer.from(good);
      bad.writeUInt8(0x5a, good.indexOf(disk.subarray(0, 512)) + 200_000);
      await writeFile(source, bad);
      await expect(
        convertImage({ source, target, to: "raw", member: "disk1.img" }),
      ).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    }
    expect(await readdir(directory.path)).toEqual(["two.ova"]);
  });

  test("of a tar archive with several files, too", async () => {
    await using directory = await temporaryDirectory();
    const source = join(directory.path, "some.tar");
    const target = join(directory.path, "target");
    await writeFile(
      source,
      await makeTar(["notes.txt", Buffer.from("notes")], ["disk.raw", second]),
    );
    await expect(convertImage({ source, target, to: "raw" })).rejects.toThrow(/"disk.raw"/);
    await convertImage({ source, target, to: "raw", member: "disk.raw" });
    expect((await readFile(target)).equals(second)).toBe(true);
  });

  test("of tar archives of every age", { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, "disk.raw"), first);
    const source = join(directory.path, "any.tar");
    const target = join(directory.path, "target");
    for (const format of ["v7", "ustar", "gnu", "oldgnu", "posix"]) {
      await runTool("tar", `--format=${format}`, "-C", directory.path, "-cf", source, "disk.raw");
      const converted = await convertImage({ source, target, to: "raw" });
      expect(converted.source).toEqual({ format: "raw", wrappers: ["tar"] });
      expect((await readFile(target)).equals(first)).toBe(true);
    }
  });
});
