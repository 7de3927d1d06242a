import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openHttpSource, type DownloadProgress, type HttpSourceOptions } from "../src/index.ts";
import { collectBytes } from "./support/collect.ts";
import {
  sendBytes,
  sendCut,
  sendResumable,
  serveLoopback,
  type LoopbackServer,
} from "./support/loopback-server.ts";
import { noise } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const body = noise(2 * 1024 * 1024);
const sha256 = createHash("sha256").update(body).digest("hex");

async function fetchBytes(url: string, options: HttpSourceOptions = {}): Promise<Buffer> {
  await using source = await openHttpSource(url, options);
  return await collectBytes(source);
}

async function expectCode(url: string, code: string, options?: HttpSourceOptions): Promise<Error> {
  const error = await fetchBytes(url, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code });
  return error as Error;
}

test("gives the body, its length and its progress, and asks for no encoding", async () => {
  await using server = await serveLoopback(sendBytes(body));
  const progress: DownloadProgress[] = [];
  const checksum = {
    sha256: sha256.toUpperCase(),
    md5: createHash("md5").update(body).digest("hex"),
  };
  const onProgress = (report: DownloadProgress): void => void progress.push(report);
  await using source = await openHttpSource(`${server.origin}/a.img`, { checksum, onProgress });
  expect(source).toMatchObject({ totalBytes: body.length, location: `${server.origin}/a.img` });
  expect((await collectBytes(source)).equals(body)).toBe(true);
  expect(server.requests[0]?.headers["accept-encoding"]).toBe("identity");
  expect(progress.at(-1)).toMatchObject({ receivedBytes: body.length, totalBytes: body.length });
  expect(progress.at(-1)?.bytesPerSecond).toBeGreaterThan(0);
});

test("a body of unknown length has no total", async () => {
  await using server = await serveLoopback((_request, response) => {
    response.write(body.subarray(0, 1000));
    response.end(body.subarray(1000));
  });
  await using source = await openHttpSource(server.origin);
  expect(source.totalBytes).toBeUndefined();
  expect((await collectBytes(source)).equals(body)).toBe(true);
});

test("a content encoding is not removed: the bytes are those of the file", async () => {
  await using server = await serveLoopback((request, response) => {
    response.setHeader("content-encoding", "gzip");
    sendBytes(body)(request, response);
  });
  expect((await fetchBytes(server.origin)).equals(body)).toBe(true);
});

test.each([
  [401, "IMAGE_SOURCE_STATUS", false],
  [403, "IMAGE_SOURCE_STATUS", false],
  [404, "IMAGE_SOURCE_STATUS", false],
  [410, "IMAGE_SOURCE_STATUS", false],
  [206, "IMAGE_SOURCE_STATUS", false],
  [304, "IMAGE_SOURCE_STATUS", false],
  [429, "IMAGE_SOURCE_UNAVAILABLE", true],
  [500, "IMAGE_SOURCE_UNAVAILABLE", true],
  [503, "IMAGE_SOURCE_UNAVAILABLE", true],
])("status %i is %s, retryable: %s", async (status, code, retryable) => {
  await using server = await serveLoopback((_request, response) => {
    response.statusCode = status;
    response.end();
  });
  const error = await expectCode(`${server.origin}/x?token=secret`, code);
  expect(error).toMatchObject({ retryable });
  expect(error.message).toContain(String(status));
  expect(error.message).not.toContain("secret");
});

test("a closed port is IMAGE_SOURCE_UNREACHABLE, without secrets in the message", async () => {
  const server = await serveLoopback(sendBytes(body));
  await server[Symbol.asyncDispose]();
  const url = `${server.origin.replace("//", "//user:secret@")}/a?key=secret`;
  const error = await expectCode(url, "IMAGE_SOURCE_UNREACHABLE");
  expect(error.message).toContain("127.0.0.1");
  expect(error.message).not.toMatch(/secret|user/);
});

test.each(["not a url", "file:///etc/passwd", "ftp://host/x", ""])(
  "%j is no source",
  async (url) => {
    await expectCode(url, "IMAGE_INVALID_ARGUMENT");
  },
);

test.each([
  ["a wrong checksum", { checksum: { sha256: "0".repeat(64) } }, "IMAGE_CHECKSUM_MISMATCH"],
  ["a short checksum", { checksum: { sha256: "00" } }, "IMAGE_INVALID_ARGUMENT"],
  ["an unknown algorithm", { checksum: { crc: "00" } }, "IMAGE_INVALID_ARGUMENT"],
  ["too long a body", { maxBytes: body.length - 1 }, "IMAGE_TOO_LARGE"],
  ["an empty CA bundle", { caBundle: "nothing" }, "IMAGE_INVALID_ARGUMENT"],
] as const)("%s is refused", async (_name, options, code) => {
  await using server = await serveLoopback(sendBytes(body));
  await expectCode(server.origin, code, options as HttpSourceOptions);
});

test("a body of unknown length stops at the limit", async () => {
  await using server = await serveLoopback((_request, response) => {
    const send = (): void => void (response.writable && response.write(body, send));
    send();
  });
  await expectCode(server.origin, "IMAGE_TOO_LARGE", { maxBytes: 5_000_000 });
});

describe("redirects", () => {
  async function redirecting(hops: number, target: LoopbackServer): Promise<LoopbackServer> {
    return serveLoopback((request, response) => {
      const hop = Number(request.url?.slice(1));
      response.statusCode = 302;
      response.setHeader("location", hop < hops ? `/${hop + 1}` : `${target.origin}/end`);
      response.end("moved");
    });
  }

  test("are followed up to the limit", async () => {
    await using target = await serveLoopback(sendBytes(body));
    await using server = await redirecting(5, target);
    expect((await fetchBytes(`${server.origin}/1`)).equals(body)).toBe(true);
    await expectCode(`${server.origin}/1`, "IMAGE_TOO_MANY_REDIRECTS", { maxRedirects: 4 });
  });

  test("that loop end", async () => {
    await using server = await serveLoopback((_request, response) => {
      response.writeHead(301, { location: "/" }).end();
    });
    await expectCode(server.origin, "IMAGE_TOO_MANY_REDIRECTS");
    expect(server.requests).toHaveLength(6);
  });

  test.each(["file:///etc/passwd", "http://", "gopher://127.0.0.1/"])(
    "to %s are refused",
    async (location) => {
      await using server = await serveLoopback((_request, response) => {
        response.writeHead(302, { location }).end();
      });
      await expectCode(server.origin, "IMAGE_UNSAFE_REDIRECT");
    },
  );

  test("credentials of the URL reach its own origin only", async () => {
    await using target = await serveLoopback(sendBytes(body));
    await using server = await redirecting(1, target);
    const url = `${server.origin.replace("//", "//user:p%40ss@")}/1`;
    await fetchBytes(url);
    const sent = server.requests.map(({ headers }) => headers.authorization);
    expect(sent).toEqual([`Basic ${Buffer.from("user:p@ss").toString("base64")}`]);
    expect(target.requests[0]?.headers.authorization).toBeUndefined();
  });
});

describe("a silent server", () => {
  test("that never answers is IMAGE_SOURCE_STALLED", async () => {
    await using server = await serveLoopback(() => {});
    const error = await expectCode(server.origin, "IMAGE_SOURCE_STALLED", { stallTimeoutMs: 200 });
    expect(error).toMatchObject({ retryable: true });
  });

  test("that drips its headers is IMAGE_SOURCE_STALLED", async () => {
    await using server = await serveLoopback((_request, response) => {
      const { socket } = response;
      socket?.write("HTTP/1.1 200 OK\r\n");
      const timer = setInterval(() => socket?.write("x-drip: 1\r\n"), 30);
      socket?.on("close", () => clearInterval(timer));
      socket?.on("error", () => {});
    });
    await expectCode(server.origin, "IMAGE_SOURCE_STALLED", { stallTimeoutMs: 300 });
  });

  test("that stops within the body is IMAGE_SOURCE_STALLED", async () => {
    await using server = await serveLoopback((_request, response) => {
      response.setHeader("content-length", body.length);
      response.write(body.subarray(0, 100_000));
    });
    await expectCode(server.origin, "IMAGE_SOURCE_STALLED", { stallTimeoutMs: 200 });
  });

  test("is no stall while the reader takes its time", async () => {
    await using server = await serveLoopback(sendBytes(body));
    await using source = await openHttpSource(server.origin, { stallTimeoutMs: 150 });
    let received = 0;
    for await (const chunk of source) {
      if (received === 0) await new Promise((resolve) => setTimeout(resolve, 400));
      received += chunk.length;
    }
    expect(received).toBe(body.length);
  });
});

describe("a broken connection", () => {
  const etag = (): { etag: string } => ({ etag: '"v1"' });

  test("is continued where it ended, several times", { timeout: 30_000 }, async () => {
    await using server = await serveLoopback(sendResumable(body, 3, etag));
    const content = await fetchBytes(server.origin, { checksum: { sha256 } });
    expect(content.equals(body)).toBe(true);
    expect(server.requests).toHaveLength(4);
    expect(server.requests[1]?.headers["range"]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(server.requests[1]?.headers["if-range"]).toBe('"v1"');
  });

  test("without ranges is IMAGE_SOURCE_TRUNCATED", async () => {
    await using server = await serveLoopback((_request, response) =>
      sendCut(response, body, 70_000),
    );
    const error = await expectCode(server.origin, "IMAGE_SOURCE_TRUNCATED");
    expect(error).toMatchObject({ retryable: true });
    expect(server.requests).toHaveLength(1);
  });

  test("with only a weak entity tag is not continued", async () => {
    await using server = await serveLoopback(sendResumable(body, 1, () => ({ etag: 'W/"v1"' })));
    await expectCode(server.origin, "IMAGE_SOURCE_TRUNCATED");
    expect(server.requests).toHaveLength(1);
  });

  test("is not continued with a file that changed", { timeout: 30_000 }, async () => {
    const changing = (attempt: number): { etag: string } => ({ etag: `"v${attempt}"` });
    await using server = await serveLoopback(sendResumable(body, 1, changing));
    await expectCode(server.origin, "IMAGE_SOURCE_TRUNCATED");
    expect(server.requests).toHaveLength(2);
  });

  test("that breaks forever ends", { timeout: 60_000 }, async () => {
    await using server = await serveLoopback((_request, response) => {
      response.setHeader("accept-ranges", "bytes");
      response.setHeader("etag", '"v1"');
      if (server.requests.length === 1) sendCut(response, body, 70_000);
      else response.destroy();
    });
    await expectCode(server.origin, "IMAGE_SOURCE_TRUNCATED");
    expect(server.requests.length).toBeGreaterThan(2);
    expect(server.requests.length).toBeLessThan(10);
  });
});

describe("an aborted signal ends with its reason", () => {
  test("before the answer and within the body", async () => {
    const reason = new Error("stop");
    await using silent = await serveLoopback(() => {});
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    await expect(fetchBytes(silent.origin, { signal: controller.signal })).rejects.toBe(reason);

    await using server = await serveLoopback(sendBytes(body));
    const second = new AbortController();
    const onProgress = (): void => second.abort(reason);
    await using slow = await serveLoopback((_request, response) => {
      response.write(body, () => second.abort(reason));
    });
    await expect(fetchBytes(slow.origin, { signal: second.signal })).rejects.toBe(reason);
    const third = fetchBytes(server.origin, { signal: second.signal, onProgress });
    await expect(third).rejects.toBe(reason);
  });
});

test(
  "TLS is verified; the CA bundle adds an authority; https never falls to http",
  { timeout: 60_000 },
  async () => {
    await using directory = await temporaryDirectory();
    const keyPath = join(directory.path, "key.pem");
    const certPath = join(directory.path, "cert.pem");
    const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    const subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost";
    const files = ["-keyout", keyPath, "-out", certPath];
    await runTool("openssl", ...`${request} ${subject}`.split(" "), ...files);
    const cert = await readFile(certPath, "utf8");
    const tls = { key: await readFile(keyPath, "utf8"), cert };
    await using plain = await serveLoopback(sendBytes(body));
    await using server = await serveLoopback((request, response) => {
      if (request.url === "/down") response.writeHead(302, { location: plain.origin }).end();
      else sendBytes(body)(request, response);
    }, tls);
    expect((await expectCode(server.origin, "IMAGE_SOURCE_UNTRUSTED")).message).toContain(
      "localhost",
    );
    const caBundle = `Our authority\n${cert}`;
    expect((await fetchBytes(server.origin, { caBundle })).equals(body)).toBe(true);
    await expectCode(`${server.origin}/down`, "IMAGE_UNSAFE_REDIRECT", { caBundle });
    await expectCode(server.origin.replace("localhost", "127.0.0.1"), "IMAGE_SOURCE_UNTRUSTED", {
      caBundle,
    });
    expect(plain.requests).toHaveLength(0);
  },
);
