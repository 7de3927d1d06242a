import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { WriteStream } from "node:tty";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { IMAGE_ERROR_CODES } from "../../src/index.ts";
import { statusOfCode } from "../../src/command/exit-status.ts";
import { formatBytes, formatSeconds } from "../../src/command/format-quantity.ts";
import { openProgressBar } from "../../src/command/progress-bar.ts";
import { progressText } from "../../src/command/progress-text.ts";
import { serveLoopback, sendBytes } from "../support/loopback-server.ts";
import { makeQcow2, noise, rawDisk } from "../support/made-images.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const script = fileURLToPath(new URL("../../src/command/polyvisor-image.ts", import.meta.url));
const corpus = new URL("../fixtures/corpus/", import.meta.url);

interface Finished {
  readonly status: number | null;
  readonly output: string;
  readonly messages: string;
}

async function run(...args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  const messages: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => messages.push(chunk));
  const [status] = (await once(child, "close")) as [number | null];
  return {
    status,
    output: Buffer.concat(output).toString("utf8"),
    messages: Buffer.concat(messages).toString("utf8"),
  };
}

/** Runs the command with --json; fails unless exactly one object was printed and nothing said. */
async function runJson(
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly json: Record<string, unknown> }> {
  const { status, output, messages } = await run(...args, "--json");
  expect(messages).toBe("");
  expect(output.endsWith("}\n")).toBe(true);
  return { status, json: JSON.parse(output) as Record<string, unknown> };
}

async function fixture(name: string, directory: string): Promise<string> {
  const path = join(directory, name);
  const stored = await readFile(new URL(`${name}.gz`, corpus)).catch(() => undefined);
  await writeFile(
    path,
    stored === undefined ? await readFile(new URL(name, corpus)) : gunzipSync(stored),
  );
  return path;
}

describe("polyvisor-image", () => {
  test("info says in one object what an image is", { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    const path = await fixture("q-v3.qcow2", directory.path);
    const { status, json } = await runJson("info", path);
    expect(status).toBe(0);
    expect(json).toMatchObject({
      format: "qcow2",
      wrappers: [],
      virtualSize: MEBIBYTE,
      storedSize: 786432,
      cdrom: false,
      warnings: [],
    });
    const disc = await runJson("info", await fixture("i-9660.iso", directory.path));
    expect(disc.json).toMatchObject({ format: "iso", cdrom: true });
    const text = await run("info", path);
    expect(text.output).toContain("virtual size: 1.0 MiB");
  });

  test.each([
    ["m-backing-abs.qcow2", 3, "IMAGE_UNSAFE"],
    ["m-trunc200.qcow2", 4, "IMAGE_TRUNCATED"],
    ["m-incompat5.qcow2", 3, "IMAGE_UNSUPPORTED"],
  ])("%s: exit status %d in every action", { timeout: 60_000 }, async (name, expected, code) => {
    await using directory = await temporaryDirectory();
    const path = await fixture(name, directory.path);
    const target = join(directory.path, "target");
    for (const args of [
      ["info", path],
      ["check", path],
      ["convert", path, target, "--to", "raw"],
    ]) {
      const { status, json } = await runJson(...args);
      expect(status).toBe(expected);
      expect(json["error"]).toEqual({ code, message: expect.any(String) });
    }
    expect(await readdir(directory.path)).toEqual([name]);
  });

  test("status 2, 5 and 6 for usage, limits and I/O", { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    for (const args of [
      [],
      ["describe", "x"],
      ["info"],
      ["info", "x", "y"],
      ["info", "x", "--to", "raw"],
      ["convert", "x", "y"],
      ["convert", "x", "y", "--to", "vdi"],
      ["convert", "x", "y", "--to", "raw", "--compress", "zstd"],
      ["convert", "x", "y", "--to", "qcow2", "--compress", "lzma"],
      ["convert", "x", "y", "--to", "raw", "--verbose"],
    ]) {
      const { status, json } = await runJson(...args);
      expect(status).toBe(2);
      expect(json["error"]).toMatchObject({ code: "USAGE" });
    }
    const huge = await runJson("info", await fixture("m-size-2p63.qcow2", directory.path));
    expect(huge.status).toBe(5);
    const missing = await runJson("check", join(directory.path, "missing"));
    expect(missing.status).toBe(6);
    expect((await run("--help")).output).toContain("Usage");
  });

  test("converts a URL, to every format", { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory();
    const raw = rawDisk();
    const image = await readFile(await makeQcow2(directory.path, raw, "-c"));
    await using server = await serveLoopback(sendBytes(image));
    const url = `${server.origin}/disk.qcow2`;
    const target = join(directory.path, "target");
    const { status, json } = await runJson("convert", url, target, "--to", "raw", "--digest");
    expect(status).toBe(0);
    expect(json).toMatchObject({ format: "qcow2", virtualSize: MEBIBYTE, warnings: [] });
    expect((await readFile(target)).equals(raw)).toBe(true);
    const compressed = join(directory.path, "compressed");
    const arguments_ = ["convert", target, compressed, "--to", "qcow2", "--compress", "zstd"];
    expect((await runJson(...arguments_)).json["storedSize"]).toBe((await stat(compressed)).size);
    const checked = await runJson("check", compressed, "--digest");
    expect(checked.status).toBe(0);
    expect(checked.json["contentDigest"]).toBe(json["contentDigest"]);
  });

  test("interrupted, it leaves nothing and says so", { timeout: 120_000 }, async () => {
    await using directory = await temporaryDirectory();
    const source = await makeQcow2(directory.path, noise(300 * MEBIBYTE, 5));
    const target = join(directory.path, "target");
    const args = [script, "convert", source, target, "--to", "qcow2", "--compress", "deflate"];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const closed = once(child, "close");
    const isAtWork = async (): Promise<boolean> =>
      (await readdir(directory.path)).some((name) => name.endsWith(".partial"));
    while (!(await isAtWork()) && child.exitCode === null) await sleep(5);
    child.kill("SIGTERM");
    expect((await closed)[0]).toBe(130);
    expect((await readdir(directory.path)).toSorted()).toEqual(["image.qcow2", "source.raw"]);
  });
});

test("every error code has an exit status of its class", () => {
  for (const code of Object.keys(IMAGE_ERROR_CODES) as (keyof typeof IMAGE_ERROR_CODES)[]) {
    expect([2, 3, 4, 5, 6]).toContain(statusOfCode(code));
  }
});

describe("progress for people", () => {
  const progress = {
    phase: "converting",
    bytesIn: 512 * MEBIBYTE,
    bytesOut: 600 * MEBIBYTE,
    bytesPerSecond: 100 * MEBIBYTE,
    fraction: 0.5,
    secondsLeft: 65,
  } as const;

  test("says what is known", () => {
    expect(progressText(progress)).toBe(
      "50 %, 512 MiB read, 600 MiB written, 100 MiB/s, 1 min 5 s left",
    );
    const unknown = { phase: "converting", bytesIn: 0, bytesOut: 0, bytesPerSecond: 0 } as const;
    expect(progressText(unknown)).toBe("0 bytes read, 0 bytes written, 0 bytes/s");
    expect(progressText({ ...unknown, phase: "storing" })).toBe("waiting for the disk");
    expect(progressText({ ...unknown, phase: "checking" })).toBe("checking the result");
    expect([formatBytes(1536), formatSeconds(7265)]).toEqual(["1.5 KiB", "2 h 1 min"]);
  });

  test("is a bar on a terminal that is gone in the end", async () => {
    const shown: string[] = [];
    const terminal = Object.assign(
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          shown.push(chunk.toString("utf8"));
          done();
        },
      }),
      { isTTY: true, columns: 200, rows: 40 },
    ) as unknown as WriteStream;
    {
      using bar = await openProgressBar(terminal);
      bar.report(progress);
    }
    expect(shown.join("")).toContain(`${"█".repeat(15)}${"░".repeat(15)} 50 %, 512 MiB read`);
    expect(shown.join("").endsWith("\u001b[2K")).toBe(true);
  });
});
