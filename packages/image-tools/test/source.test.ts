import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { joinReaders, subReader } from "../src/source/sub-reader.ts";
import { callbackReader, fromStream, memoryReader, openSource } from "../src/index.ts";
import { collectBytes } from "./support/collect.ts";
import { serveLoopback } from "./support/loopback-server.ts";
import { noise } from "./support/made-images.ts";
import { serveRanges } from "./support/range-server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const bytes = noise(200_000);
const chunks = (): Readable => Readable.from([bytes.subarray(0, 70_000), bytes.subarray(70_000)]);

describe("a stream", () => {
  test.each([undefined, bytes.length])("with announced length %j gives its bytes", async (size) => {
    const source = fromStream(chunks(), { sizeBytes: size });
    expect(source.sizeBytes).toBe(size);
    expect((await collectBytes(source)).equals(bytes)).toBe(true);
  });

  test.each([
    ["shorter than announced", { sizeBytes: bytes.length + 1 }, "IMAGE_SOURCE_TRUNCATED"],
    ["longer than announced", { sizeBytes: bytes.length - 1 }, "IMAGE_SOURCE_INVALID"],
    ["of announced length 0 with bytes", { sizeBytes: 0 }, "IMAGE_SOURCE_INVALID"],
    ["longer than allowed", { maxBytes: bytes.length - 1 }, "IMAGE_TOO_LARGE"],
  ])("%s is refused", async (_name, options, code) => {
    const stream = chunks();
    await expect(collectBytes(fromStream(stream, options))).rejects.toMatchObject({ code });
    expect(stream.destroyed).toBe(true);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])("of announced length %j is no stream", (sizeBytes) => {
    expect(() => fromStream(chunks(), { sizeBytes })).toThrow(/not a byte count/);
  });

  test("announced longer than allowed is refused before it is read", () => {
    expect(() => fromStream(chunks(), { sizeBytes: 10, maxBytes: 9 })).toThrow(/allowed 9 bytes/);
  });

  test("that breaks is IMAGE_SOURCE_TRUNCATED with the cause", async () => {
    const cause = new Error("reset");
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw cause;
    }
    const error = collectBytes(fromStream(breaking()));
    await expect(error).rejects.toMatchObject({ code: "IMAGE_SOURCE_TRUNCATED", cause });
  });

  test("of something else than bytes is refused", async () => {
    const text = Readable.from(["text"]) as AsyncIterable<never>;
    await expect(collectBytes(fromStream(text))).rejects.toMatchObject({
      code: "IMAGE_INVALID_ARGUMENT",
    });
  });

  test("ends with the signal's reason while it is silent", async () => {
    const reason = new Error("stop");
    const silent = new Readable({ read: () => {} });
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    const source = fromStream(silent, { signal: controller.signal });
    await expect(collectBytes(source)).rejects.toBe(reason);
  });

  test("is ended by disposing its source", async () => {
    const stream = chunks();
    {
      await using source = fromStream(stream);
      for await (const chunk of source) {
        expect(chunk.length).toBe(70_000);
        break;
      }
    }
    expect(stream.destroyed).toBe(true);
  });
});

describe("openSource", () => {
  test("opens paths and file URLs at random", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "a b");
    await writeFile(path, bytes);
    for (const location of [path, pathToFileURL(path), String(pathToFileURL(path))]) {
      const source = await openSource(location);
      if (source.kind !== "random") throw new Error("a file can be read at random");
      await using reader = source.reader;
      expect((await reader.read(1000, 5)).equals(bytes.subarray(1000, 1005))).toBe(true);
    }
    await expect(openSource(`${path}x`)).rejects.toMatchObject({ code: "IMAGE_IO" });
    await expect(openSource("file://elsewhere/x")).rejects.toMatchObject({
      code: "IMAGE_INVALID_ARGUMENT",
    });
  });

  test("opens a web server's file at random, or in order where it must", async () => {
    await using ranges = await serveLoopback(serveRanges(bytes, { etag: '"1"' }));
    const random = await openSource(ranges.origin);
    if (random.kind !== "random") throw new Error("the server serves ranges");
    await using reader = random.reader;
    expect(reader.sizeBytes).toBe(bytes.length);

    await using plain = await serveLoopback((_request, response) => {
      response.setHeader("content-length", bytes.length);
      response.end(bytes);
    });
    const forward = await openSource(new URL(plain.origin));
    if (forward.kind !== "forward") throw new Error("the server ignores ranges");
    await using stream = forward.stream;
    expect(stream.sizeBytes).toBe(bytes.length);
    expect((await collectBytes(stream)).equals(bytes)).toBe(true);
  });

  test.each(["ftp://host/x", "nbd://host", "json://{}"])("refuses %s", async (location) => {
    await expect(openSource(location)).rejects.toMatchObject({ code: "IMAGE_INVALID_ARGUMENT" });
  });
});

describe("readers made of others", () => {
  test("a callback is held to the length that it was asked for", async () => {
    let closed = 0;
    const reader = callbackReader(async (at, length) => bytes.subarray(at, at + length), {
      sizeBytes: bytes.length,
      close: async () => void (closed += 1),
    });
    expect((await reader.read(5, 10)).equals(bytes.subarray(5, 15))).toBe(true);
    await expect(reader.read(bytes.length, 1)).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
    await reader[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    expect(closed).toBe(1);
    const short = callbackReader(async () => new Uint8Array(3), { sizeBytes: 10 });
    await expect(short.read(0, 4)).rejects.toMatchObject({ code: "IMAGE_SOURCE_INVALID" });
  });

  test("parts and chains give the bytes of what they are made of", async () => {
    const whole = memoryReader(bytes);
    const parts = [subReader(whole, 0, 10), subReader(whole, 10, 0), subReader(whole, 10, 990)];
    const joined = joinReaders(parts);
    expect(joined.sizeBytes).toBe(1000);
    for (const [offset, length] of [
      [0, 1000],
      [5, 10],
      [9, 1],
      [10, 1],
      [1000, 0],
    ] as const) {
      const read = await joined.read(offset, length);
      expect(read.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    await expect(joined.read(999, 2)).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
    expect(() => subReader(whole, bytes.length, 1)).toThrow(/lie outside/);
  });
});
