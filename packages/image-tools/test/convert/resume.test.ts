import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { convertImage, openDiskImage, openFileReader } from "../../src/index.ts";
import { collectSparse } from "../support/collect.ts";
import { serveLoopback } from "../support/loopback-server.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { serveRanges } from "../support/range-server.ts";
import { runTool } from "../support/run-tool.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const SLOW = { timeout: 120_000 };
const TARGETS = [
  ["raw", undefined],
  ["qcow2", undefined],
  ["qcow2", "deflate"],
  ["qcow2", "zstd"],
] as const;
const script = fileURLToPath(new URL("../../src/command/polyvisor-image.ts", import.meta.url));

/** Requires that `path` is a sound image of exactly this disk. */
async function expectDisk(path: string, format: "raw" | "qcow2", disk: Buffer): Promise<void> {
  if (format === "qcow2") await runTool("qemu-img", "check", "-q", "-f", format, path);
  await using image = await openDiskImage(await openFileReader(path), { expectedFormat: format });
  expect((await collectSparse(image.stream())).equals(disk)).toBe(true);
}

describe("resuming", () => {
  async function makeLarge(directory: string): Promise<{ source: string; raw: Buffer }> {
    const raw = Buffer.concat([rawDisk(70 * MEBIBYTE), noise(90 * MEBIBYTE, 3)]);
    return { source: await makeQcow2(directory, raw), raw };
  }

  test.each(TARGETS)(
    "an aborted conversion to %s %s goes on where it was",
    SLOW,
    async (to, compress) => {
      await using directory = await temporaryDirectory();
      const { source, raw } = await makeLarge(directory.path);
      const target = join(directory.path, "target");
      const controller = new AbortController();
      const digests = { content: true };
      const whole = await convertImage({ source, target, to, compress, digests });
      const expected = await readFile(target);

      const options = { source, target, to, compress, resume: true, digests } as const;
      const interrupted = convertImage({
        ...options,
        threads: 1,
        signal: controller.signal,
        onProgress: ({ fraction = 0 }) => {
          if (fraction > 0.7) controller.abort();
        },
      });
      await expect(interrupted).rejects.toThrow("aborted");
      const left = await readdir(directory.path);
      expect(left).toContain(".target.polyvisor-journal");

      const fractions: number[] = [];
      const resumed = await convertImage({
        ...options,
        onProgress: ({ fraction = 0 }) => fractions.push(fraction),
      });
      // The first of the segments that may be there already has a fifth of the data.
      expect(fractions[0]).toBeGreaterThan(0.2);
      expect(fractions.at(-1)).toBe(1);
      expect(resumed.resumedBytes).toBeGreaterThanOrEqual(64 * MEBIBYTE);
      expect(resumed.contentDigest).toBe(whole.contentDigest);
      // An image that was gone on with is no other than one that was written at once.
      expect((await readFile(target)).equals(expected)).toBe(true);
      await expectDisk(target, to, raw);
      expect((await readdir(directory.path)).filter((name) => name.startsWith("."))).toEqual([]);
    },
  );

  test.each([TARGETS[0], TARGETS[3]])(
    "to %s %s: what was damaged meanwhile is written again, and another source starts over",
    SLOW,
    async (to, compress) => {
      await using directory = await temporaryDirectory();
      const { source, raw } = await makeLarge(directory.path);
      const target = join(directory.path, "target");
      const options = { source, target, to, compress, resume: true } as const;
      const interrupt = async (): Promise<void> => {
        const controller = new AbortController();
        const { signal } = controller;
        await expect(
          convertImage({
            ...options,
            threads: 1,
            signal,
            onProgress: ({ fraction = 0 }) => {
              if (fraction > 0.9) controller.abort();
            },
          }),
        ).rejects.toThrow("aborted");
      };
      await interrupt();
      const partial = join(directory.path, ".target.polyvisor-partial");
      const journal = await readFile(join(directory.path, ".target.polyvisor-journal"), "utf8");
      const [end1 = 0, end2 = 0] = journal
        .split("\n")
        .slice(1)
        .map((line) => Number(line.split(" ")[1]));
      const damaged = await readFile(partial);
      const middle = Math.floor((end1 + end2) / 2);
      damaged[middle] = (damaged[middle] ?? 0) ^ 1;
      await writeFile(partial, damaged);
      const resumed = await convertImage(options);
      expect(resumed.resumedBytes).toBe(64 * MEBIBYTE);
      await expectDisk(target, to, raw);

      await interrupt();
      const other = Buffer.from(raw);
      other[600] = 1;
      await makeQcow2(directory.path, other);
      expect((await convertImage(options)).resumedBytes).toBe(0);
      await expectDisk(target, to, other);
    },
  );

  test("a failure that will not pass keeps nothing", async () => {
    await using directory = await temporaryDirectory();
    const text = Buffer.alloc(4 * MEBIBYTE, "All work and no play makes a dull boy. ");
    const source = await makeQcow2(directory.path, text, "-c");
    const bytes = await readFile(source);
    bytes.fill(0xff, 5 * 65536, 5 * 65536 + 40);
    await writeFile(source, bytes);
    const target = join(directory.path, "target");
    await expect(convertImage({ source, target, to: "raw", resume: true })).rejects.toMatchObject({
      code: "IMAGE_CORRUPT",
    });
    expect((await readdir(directory.path)).filter((name) => name !== "image.qcow2")).toEqual([
      "source.raw",
    ]);
  });

  test("says when a conversion cannot be gone on with", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk());
    const target = join(directory.path, "target");
    const converted = await convertImage({ source, target, to: "vmdk", resume: true });
    expect(converted.warnings).toEqual([expect.stringContaining("start over")]);
  });

  test("two conversions to the same target do not get in each other's way", async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, rawDisk());
    const target = join(directory.path, "target");
    const other = spawn("sleep", ["60"]);
    try {
      const header = { version: 2, identity: "", process: other.pid };
      const journal = join(directory.path, ".target.polyvisor-journal");
      await writeFile(journal, `${JSON.stringify(header)}\n`);
      await expect(convertImage({ source, target, to: "raw", resume: true })).rejects.toMatchObject(
        { code: "IMAGE_CONFLICT" },
      );
    } finally {
      other.kill();
      await once(other, "close");
    }
    expect((await convertImage({ source, target, to: "raw", resume: true })).resumedBytes).toBe(0);
  });

  test.each([TARGETS[0], TARGETS[2]])(
    "to %s %s: after a kill, what is there is neither fetched nor written again",
    SLOW,
    async (to, compress) => {
      await using directory = await temporaryDirectory();
      const raw = Buffer.concat([rawDisk(2 * MEBIBYTE), randomBytes(222 * MEBIBYTE)]);
      const image = await readFile(await makeQcow2(directory.path, raw));
      let sent = 0;
      let isSlow = true;
      const serve = serveRanges(image, {
        etag: '"1"',
        bytesPerSecond: 40 * MEBIBYTE,
        fault: (answer) => {
          sent += answer.body.length;
        },
      });
      const serveFast = serveRanges(image, {
        etag: '"1"',
        fault: (answer) => {
          sent += answer.body.length;
        },
      });
      await using server = await serveLoopback((request, response) =>
        (isSlow ? serve : serveFast)(request, response),
      );
      const target = join(directory.path, "target");
      const source = `${server.origin}/disk.qcow2`;
      const args = ["convert", source, target, "--to", to, "--resume", "--json"];
      if (compress !== undefined) args.push("--compress", compress);
      const child = spawn(process.execPath, [script, ...args], { stdio: "ignore" });
      const closed = once(child, "close");
      const journal = join(directory.path, ".target.polyvisor-journal");
      const lines = async (): Promise<number> =>
        (await readFile(journal, "utf8").catch(() => "")).split("\n").length;
      while ((await lines()) < 4 && child.exitCode === null) await sleep(2);
      child.kill("SIGKILL");
      expect((await closed)[1]).toBe("SIGKILL");
      expect(await readdir(directory.path)).not.toContain("target");

      isSlow = false;
      sent = 0;
      const resumed = await convertImage({ source, target, to, compress, resume: true });
      expect(resumed.resumedBytes).toBeGreaterThanOrEqual(128 * MEBIBYTE);
      expect(sent).toBeLessThan(image.length - 120 * MEBIBYTE);
      await expectDisk(target, to, raw);
      const left = await readdir(directory.path);
      expect(left.filter((name) => name.startsWith("."))).toEqual([]);
    },
  );
});
