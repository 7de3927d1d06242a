import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPublicAddress } from "../src/http/address-policy.ts";
import { createHttpDispatcher } from "../src/http/http-dispatcher.ts";
import { sendRequest } from "../src/http/send-request.ts";
import { ImageError, openHttpReader, type HttpReaderOptions } from "../src/index.ts";
import { serveLoopback, type LoopbackServer } from "./support/loopback-server.ts";
import { noise } from "./support/made-images.ts";
import { serveRanges, type RangeServerOptions } from "./support/range-server.ts";

const MIB = 1024 * 1024;
const file = noise(9 * MIB + 12_345);
const strong = { etag: '"v1"' };

async function serve(options: RangeServerOptions = strong): Promise<LoopbackServer> {
  return serveLoopback(serveRanges(file, options));
}

async function expectCode(run: () => Promise<unknown>, code: string): Promise<ImageError> {
  const error = await run().then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof ImageError)) throw new Error(`no ImageError but ${String(error)}`);
  expect(error.code, error.message).toBe(code);
  return error;
}

/** Opens the file and reads it far behind its beginning, so that a second request is needed. */
async function readFar(url: string, options: HttpReaderOptions = {}): Promise<Buffer> {
  await using reader = await openHttpReader(url, options);
  return await reader.read(5 * MIB, 200_000);
}

const farBytes = file.subarray(5 * MIB, 5 * MIB + 200_000);

test("reads give exactly the bytes of the file, wherever and however long", async () => {
  await using server = await serve();
  await using reader = await openHttpReader(server.origin);
  expect(reader).toMatchObject({ sizeBytes: file.length, validator: '"v1"' });
  const range = fc.tuple(fc.nat(file.length), fc.oneof(fc.nat(40_000), fc.nat(6 * MIB)));
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 6 }), async (ranges) => {
      const reads = ranges.map(async ([offset, wanted]) => {
        const length = Math.min(wanted, file.length - offset);
        const bytes = await reader.read(offset, length);
        expect(bytes.equals(file.subarray(offset, offset + length))).toBe(true);
      });
      await Promise.all(reads);
    }),
    { numRuns: 60 },
  );
  await expectCode(() => reader.read(file.length, 1), "IMAGE_TRUNCATED");
  await expectCode(() => reader.read(-1, 1), "IMAGE_TRUNCATED");
}, 60_000);

test("small reads that lie close together cost one request", async () => {
  await using server = await serve();
  await using reader = await openHttpReader(server.origin);
  for (let at = 0; at < 16_000; at += 500) await reader.read(4 * MIB + at, 100);
  expect(server.requests).toHaveLength(2);
  expect(reader.traffic).toEqual({ requests: 2, bytes: 80 * 1024 + 16 * 1024 });
});

test(
  "reading in order uses several connections ahead of the reader",
  { timeout: 60_000 },
  async () => {
    const bytesPerSecond = 4 * MIB;
    await using server = await serve({ ...strong, bytesPerSecond });
    async function readAll(connections: number): Promise<number> {
      await using reader = await openHttpReader(server.origin, { connections });
      const started = performance.now();
      for (let at = 0; at < file.length; at += 256 * 1024) {
        const length = Math.min(256 * 1024, file.length - at);
        const bytes = await reader.read(at, length);
        expect(bytes.equals(file.subarray(at, at + length))).toBe(true);
      }
      return performance.now() - started;
    }
    const one = await readAll(1);
    const four = await readAll(4);
    expect(one).toBeGreaterThan(2000);
    expect(four).toBeLessThan(one * 0.75);
  },
);

test("an empty file has no bytes", async () => {
  await using server = await serveLoopback(serveRanges(Buffer.alloc(0), strong));
  await using reader = await openHttpReader(server.origin);
  expect(reader.sizeBytes).toBe(0);
});

test("a short file is there after one request", async () => {
  const short = file.subarray(0, 1000);
  await using server = await serveLoopback(serveRanges(short, strong));
  await using reader = await openHttpReader(server.origin);
  expect((await reader.read(0, 1000)).equals(short)).toBe(true);
  expect(server.requests).toHaveLength(1);
});

test("a file over the limit is refused on opening", async () => {
  await using server = await serve();
  await expectCode(
    () => openHttpReader(server.origin, { maxBytes: file.length - 1 }),
    "IMAGE_TOO_LARGE",
  );
});

describe("a server that ignores ranges", () => {
  test("is IMAGE_SOURCE_NO_RANGES", async () => {
    await using server = await serveLoopback((_request, response) => response.end(file));
    await expectCode(() => openHttpReader(server.origin), "IMAGE_SOURCE_NO_RANGES");
  });

  test("and one that does not tell the length, too", async () => {
    await using server = await serve({
      fault: ({ headers }) => (headers["content-range"] = "bytes 0-81919/*"),
    });
    await expectCode(() => openHttpReader(server.origin), "IMAGE_SOURCE_NO_RANGES");
  });
});

describe("a server that lies is IMAGE_SOURCE_INVALID", () => {
  test.each([
    ["another part", { "content-range": "bytes 4-81923/9000000" }],
    ["no part", { "content-range": "" }],
    ["an impossible part", { "content-range": "bytes 0-81919/81919" }],
    ["another unit", { "content-range": "lines 0-81919/9000000" }],
    ["a size past all numbers", { "content-range": "bytes 0-81919/99999999999999999999" }],
  ])("with %s", async (_name, lie) => {
    await using server = await serve({
      fault: ({ headers }) => void Object.assign(headers, lie),
    });
    await expectCode(() => openHttpReader(server.origin), "IMAGE_SOURCE_INVALID");
  });

  test("with a content length that is not that of the part", async () => {
    await using server = await serve({
      ...strong,
      fault: (answer, count) => {
        if (count > 1) answer.headers["content-length"] = "77";
        if (count > 1) answer.body = answer.body.subarray(0, 77);
      },
    });
    await expectCode(() => readFar(server.origin), "IMAGE_SOURCE_INVALID");
  });

  test("with more bytes than were asked for", async () => {
    await using server = await serve({
      ...strong,
      fault: (answer, count) => {
        if (count === 1) return;
        delete answer.headers["content-length"];
        answer.body = Buffer.concat([answer.body, Buffer.alloc(10)]);
      },
    });
    await expectCode(() => readFar(server.origin), "IMAGE_SOURCE_INVALID");
  });

  test("by refusing the beginning of a file that has one", async () => {
    await using server = await serveLoopback((_request, response) => {
      response.writeHead(416, { "content-range": "bytes */5" }).end();
    });
    await expectCode(() => openHttpReader(server.origin), "IMAGE_SOURCE_INVALID");
  });
});

describe("a file that changes midway is IMAGE_SOURCE_CHANGED", () => {
  test.each<[string, RangeServerOptions]>([
    ["with another entity tag", { fault: ({ headers }, n) => (headers["etag"] = `"v${n}"`) }],
    ["with another weak entity tag", { fault: ({ headers }, n) => (headers["etag"] = `W/"${n}"`) }],
    [
      "with another date",
      {
        fault: ({ headers }, n) => (headers["last-modified"] = `Fri, 0${n} May 2026 00:00:00 GMT`),
      },
    ],
    [
      "with another size",
      {
        fault: ({ headers }, n) => {
          const range = headers["content-range"] as string;
          headers["content-range"] = range.replace(/\d+$/, (size) => String(Number(size) + n));
        },
      },
    ],
    ["answered with the whole file", { fault: (answer, n) => (answer.status = n > 1 ? 200 : 206) }],
  ])("%s", async (_name, options) => {
    await using server = await serve(options);
    const error = await expectCode(() => readFar(server.origin), "IMAGE_SOURCE_CHANGED");
    expect(error.retryable).toBe(true);
  });

  test("the condition is sent: a strong tag, else the date, never a weak tag", async () => {
    const lastModified = "Fri, 01 May 2026 00:00:00 GMT";
    for (const [etag, sent] of [
      ['"v1"', '"v1"'],
      ['W/"v1"', lastModified],
    ] as const) {
      await using server = await serve({ etag, lastModified });
      expect((await readFar(server.origin)).equals(farBytes)).toBe(true);
      expect(server.requests.map(({ headers }) => headers["if-range"])).toEqual([undefined, sent]);
    }
  });
});

describe("passing failures of a part", { timeout: 30_000 }, () => {
  test.each<[string, RangeServerOptions["fault"] & {}]>([
    ["a broken connection", (answer, count) => void (count === 2 && (answer.cutAfter = 5000))],
    ["a stall", (answer, count) => void (count === 2 && (answer.stallAfter = 5000))],
    ["status 503", (answer, count) => void (count === 2 && (answer.status = 503))],
  ])("%s is repeated", async (_name, fault) => {
    await using server = await serve({ ...strong, fault });
    const bytes = await readFar(server.origin, { stallTimeoutMs: 300 });
    expect(bytes.equals(farBytes)).toBe(true);
    expect(server.requests.length).toBe(3);
  });

  test("a part goes on where it broke off", async () => {
    await using server = await serve({
      ...strong,
      fault: (answer, count) => void (count === 2 && (answer.cutAfter = 150_000)),
    });
    expect((await readFar(server.origin)).equals(farBytes)).toBe(true);
    const [, , third] = server.requests;
    const [, start] = /^bytes=(\d+)-/.exec(third?.headers.range ?? "") ?? [];
    expect(Number(start)).toBeGreaterThan(5 * MIB);
  });

  test("that never pass end", async () => {
    await using server = await serve({
      ...strong,
      fault: (answer, count) => void (count > 1 && (answer.cutAfter = 100)),
    });
    await expectCode(() => readFar(server.origin), "IMAGE_SOURCE_UNREACHABLE");
    expect(server.requests.length).toBeLessThan(10);
  });

  test("a server that stalls for good is IMAGE_SOURCE_STALLED", async () => {
    await using server = await serve({ fault: (answer) => (answer.stallAfter = 10) });
    await expectCode(
      () => openHttpReader(server.origin, { stallTimeoutMs: 100 }),
      "IMAGE_SOURCE_STALLED",
    );
  });

  test("status 404 is not repeated", async () => {
    await using server = await serve({
      ...strong,
      fault: (answer, count) => void (count > 1 && (answer.status = 404)),
    });
    await expectCode(() => readFar(server.origin), "IMAGE_SOURCE_STATUS");
    expect(server.requests).toHaveLength(2);
  });
});

test("a closed reader refuses to read", async () => {
  await using server = await serve();
  const reader = await openHttpReader(server.origin);
  await reader[Symbol.asyncDispose]();
  await expectCode(() => reader.read(5 * MIB, 10), "IMAGE_INVALID_ARGUMENT");
});

test("an aborted signal ends reading with its reason", async () => {
  await using server = await serve({
    ...strong,
    fault: (answer, count) => void (count > 1 && (answer.stallAfter = 10)),
  });
  const controller = new AbortController();
  const reason = new Error("stop");
  await using reader = await openHttpReader(server.origin, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  await expect(reader.read(5 * MIB, 1000)).rejects.toBe(reason);
});

describe("redirects", () => {
  test("are followed once; an address that expired is asked for anew", async () => {
    await using target = await serve(strong);
    let links = 0;
    await using server = await serveLoopback((_request, response) => {
      links += 1;
      response.writeHead(302, { location: `${target.origin}/${links}` }).end();
    });
    await using reader = await openHttpReader(`${server.origin}/start`);
    expect(reader.location).toBe(`${target.origin}/1`);
    await reader.read(2 * MIB, 10);
    await reader.read(3 * MIB, 10);
    expect(server.requests).toHaveLength(1);

    await using expiring = await serveLoopback((request, response) => {
      const isFresh = request.url === `/${links}`;
      if (isFresh) serveRanges(file, strong)(request, response);
      else response.writeHead(403).end();
    });
    await using second = await serveLoopback((_request, response) => {
      links += 1;
      response.writeHead(302, { location: `${expiring.origin}/${links}` }).end();
    });
    await using again = await openHttpReader(second.origin);
    links += 1;
    expect((await again.read(5 * MIB, 10)).equals(file.subarray(5 * MIB, 5 * MIB + 10))).toBe(true);
    expect(second.requests).toHaveLength(2);
  });

  test("in circles end", async () => {
    await using server = await serveLoopback((request, response) => {
      response.writeHead(302, { location: request.url === "/a" ? "/b" : "/a" }).end();
    });
    await expectCode(() => openHttpReader(`${server.origin}/a`), "IMAGE_TOO_MANY_REDIRECTS");
    expect(server.requests).toHaveLength(6);
  });

  test("credentials reach their own origin only, for every part", async () => {
    await using target = await serve(strong);
    await using server = await serveLoopback((_request, response) => {
      response.writeHead(302, { location: target.origin }).end();
    });
    await readFar(server.origin.replace("//", "//user:secret@"));
    expect(server.requests[0]?.headers.authorization).toMatch(/^Basic /);
    expect(target.requests.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      undefined,
    ]);
  });
});

describe("addresses", () => {
  test.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001::1",
    "fd00::1",
    "fe80::1",
    "ff02::1",
    "not an address",
  ])("%s is not public", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(["1.1.1.1", "172.32.0.1", "9.255.255.255", "2606:4700::1111", "2a00::1"])(
    "%s is public",
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  test.each(["127.0.0.1", "localhost"])("publicOnly refuses %s", async (host) => {
    await using server = await serve();
    const url = server.origin.replace("127.0.0.1", host);
    await expectCode(() => openHttpReader(url, { publicOnly: true }), "IMAGE_FORBIDDEN_ADDRESS");
    expect(server.requests).toHaveLength(0);
  });

  test("a public host cannot redirect to a private one, by address or by name", async () => {
    await using secret = await serve();
    for (const host of ["127.0.0.2", "localhost"]) {
      const location = secret.origin.replace("127.0.0.1", host);
      await using server = await serveLoopback((_request, response) => {
        response.writeHead(302, { location }).end();
      });
      // The first address that is judged, that of `server`, stands for a public one.
      let judged = 0;
      const isFirst = (): boolean => {
        judged += 1;
        return judged === 1;
      };
      const start = new URL(server.origin);
      const dispatcher = await createHttpDispatcher(start, {
        connectTimeoutMs: 5000,
        isPublicAddress: isFirst,
      });
      const settings = { dispatcher, stallTimeoutMs: 5000, maxRedirects: 5 };
      await expectCode(() => sendRequest(start, {}, settings), "IMAGE_FORBIDDEN_ADDRESS");
      await dispatcher.destroy();
      expect(server.requests).toHaveLength(1);
    }
    expect(secret.requests).toHaveLength(0);
  });

  test("a public name cannot turn to a private address later", async () => {
    await using server = await serveLoopback((request, response) => {
      response.setHeader("connection", "close");
      serveRanges(file, strong)(request, response);
    });
    const start = new URL(server.origin.replace("127.0.0.1", "localhost"));
    const dispatcher = await createHttpDispatcher(start, {
      connectTimeoutMs: 5000,
      isPublicAddress: () => server.requests.length === 0,
    });
    const settings = { dispatcher, stallTimeoutMs: 5000, maxRedirects: 5 };
    const range = { range: "bytes=0-9" };
    const first = await sendRequest(start, range, settings);
    expect(await first.body.bytes()).toHaveLength(10);
    await expectCode(() => sendRequest(start, range, settings), "IMAGE_FORBIDDEN_ADDRESS");
    expect(server.requests).toHaveLength(1);
    await dispatcher.destroy();
  });

  test("a private host may redirect to a private one", async () => {
    await using target = await serve();
    await using server = await serveLoopback((_request, response) => {
      response.writeHead(302, { location: target.origin.replace("127.0.0.1", "localhost") }).end();
    });
    expect((await readFar(server.origin)).equals(farBytes)).toBe(true);
  });
});
