import { readdir, readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { convertImage, fromStream } from "../../src/index.ts";
import { sendBytes, sendCut, serveLoopback } from "../support/loopback-server.ts";
import { makeQcow2, noise } from "../support/made-images.ts";
import { serveRanges, type RangeServerOptions } from "../support/range-server.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 1024 * 1024;
const PAGE = Buffer.from(
  `<!doctype html><html><body>${"Sign in, please. ".repeat(9000)}</body></html>`,
);
const raw = noise(12 * MEBIBYTE, 6);
let image: Buffer;

beforeAll(async () => {
  await using directory = await temporaryDirectory();
  image = await readFile(await makeQcow2(directory.path, raw));
});

/** Converts what a server gives; requires that nothing is left when that fails. */
async function convertFrom(listener: RequestListener, maxIdleMs?: number): Promise<Buffer> {
  await using directory = await temporaryDirectory();
  await using server = await serveLoopback(listener);
  const target = join(directory.path, "target");
  const source = `${server.origin}/disk.qcow2`;
  try {
    await convertImage({ source, target, to: "raw", maxIdleMs });
    return await readFile(target);
  } catch (error) {
    expect(await readdir(directory.path)).toEqual([]);
    throw error;
  }
}

const ranges =
  (options: RangeServerOptions): (() => RequestListener) =>
  () =>
    serveRanges(image, options);

describe("a server that", { timeout: 60_000 }, () => {
  test.each<[string, () => RequestListener]>([
    ["serves ranges", ranges({ etag: '"1"' })],
    ["ignores ranges", () => sendBytes(image)],
    [
      "does not tell the length",
      () => (_request, response) => {
        response.write(image.subarray(0, 5000));
        response.end(image.subarray(5000));
      },
    ],
    [
      "breaks one connection",
      ranges({
        etag: '"1"',
        fault: (answer, count) => {
          if (count === 3) answer.cutAfter = 1000;
        },
      }),
    ],
  ])("%s gives the disk", async (_name, listener) => {
    expect((await convertFrom(listener())).equals(raw)).toBe(true);
  });

  test.each<[string, string, () => RequestListener]>([
    [
      "ends before the length that it announced",
      "IMAGE_SOURCE_TRUNCATED",
      () => (_request, response) => sendCut(response, image, image.length - 100_000),
    ],
    [
      "announces less than the image refers to",
      "IMAGE_TRUNCATED",
      () => sendBytes(image.subarray(0, image.length - MEBIBYTE)),
    ],
    [
      "ends early without having announced a length",
      "IMAGE_TRUNCATED",
      () => (_request, response) => {
        response.write(image.subarray(0, 5000));
        response.end(image.subarray(5000, image.length - MEBIBYTE));
      },
    ],
    [
      "says another length in each answer",
      "IMAGE_SOURCE_(CHANGED|INVALID)",
      ranges({
        etag: '"1"',
        fault: (answer, count) => {
          const range = answer.headers["content-range"];
          if (range === undefined || count < 3) return;
          answer.headers["content-range"] = range.replace(/\d+$/, String(image.length + count));
        },
      }),
    ],
    [
      "changes the file midway",
      "IMAGE_SOURCE_CHANGED",
      ranges({
        etag: '"1"',
        fault: (answer, count) => {
          if (count > 3) answer.headers["etag"] = '"2"';
        },
      }),
    ],
    [
      "stalls",
      "IMAGE_SOURCE_STALLED",
      ranges({
        etag: '"1"',
        fault: (answer, count) => {
          if (count > 3) answer.stallAfter = 1000;
        },
      }),
    ],
    [
      "stalls without ranges",
      "IMAGE_SOURCE_STALLED",
      () => (_request, response) => {
        response.setHeader("content-length", image.length);
        response.write(image.subarray(0, 3 * MEBIBYTE));
      },
    ],
    [
      "redirects in circles",
      "IMAGE_TOO_MANY_REDIRECTS",
      () => (request, response) => {
        response.writeHead(302, { location: `${request.url ?? ""}x` }).end();
      },
    ],
    [
      "redirects to a file",
      "IMAGE_UNSAFE_REDIRECT",
      () => (_request, response) => {
        response.writeHead(302, { location: "file:///etc/passwd" }).end();
      },
    ],
    ["answers with a page", "IMAGE_UNRECOGNISED", () => sendBytes(PAGE)],
    ["answers with a page, in ranges", "IMAGE_UNRECOGNISED", () => serveRanges(PAGE)],
    ["gives nothing", "IMAGE_UNRECOGNISED", () => sendBytes(Buffer.alloc(0))],
  ])("%s: %s", async (_name, code, listener) => {
    const maxIdleMs = code === "IMAGE_SOURCE_STALLED" ? 1500 : undefined;
    await expect(convertFrom(listener(), maxIdleMs)).rejects.toMatchObject({
      code: expect.stringMatching(new RegExp(`^${code}$`)) as string,
    });
  });
});

describe("an upload that", () => {
  async function* body(end: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < end; at += 100_000) yield image.subarray(at, Math.min(at + 100_000, end));
  }

  test.each([
    ["is shorter than announced", "IMAGE_SOURCE_TRUNCATED", -1, 0],
    ["is longer than announced", "IMAGE_SOURCE_INVALID", 0, -1],
    ["ends early and announced that", "IMAGE_TRUNCATED", -MEBIBYTE, -MEBIBYTE],
  ])("%s is %s", async (_name, code, sent, announced) => {
    await using directory = await temporaryDirectory();
    const source = fromStream(body(image.length + sent), { sizeBytes: image.length + announced });
    const target = join(directory.path, "target");
    await expect(convertImage({ source, target, to: "raw" })).rejects.toMatchObject({ code });
    expect(await readdir(directory.path)).toEqual([]);
  });

  test("breaks off passes as a break, and ends its sender", async () => {
    await using directory = await temporaryDirectory();
    let isEnded = false;
    async function* breaking(): AsyncGenerator<Uint8Array> {
      try {
        yield* body(5 * MEBIBYTE);
        throw new Error("the client is gone");
      } finally {
        isEnded = true;
      }
    }
    const target = join(directory.path, "target");
    const converting = convertImage({ source: fromStream(breaking()), target, to: "qcow2" });
    await expect(converting).rejects.toMatchObject({ code: "IMAGE_SOURCE_TRUNCATED" });
    expect(isEnded).toBe(true);
    expect(await readdir(directory.path)).toEqual([]);
  });
});
