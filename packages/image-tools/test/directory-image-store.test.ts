import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, stat, symlink, truncate, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { compress } from "lzma-native";
import { describe, expect, test, vi } from "vitest";
import {
  createIso9660,
  directoryImageStore,
  type DirectoryImageStoreOptions,
  type HttpImageSource,
  type ImageImportProgress,
  type ImageStore,
} from "../src/index.ts";
import { currentOwner, workDirectoryName } from "../src/store/import-directory.ts";
import { collectSparse } from "./support/collect.ts";
import { CORPUS, corpusFile, corpusImage } from "./support/corpus.ts";
import { sendBytes, sendResumable, serveLoopback } from "./support/loopback-server.ts";
import { makeQcow2, rawDisk } from "./support/made-images.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

interface OpenStore extends AsyncDisposable {
  readonly store: ImageStore;
  readonly path: string;
}

async function openStore(
  options: Omit<DirectoryImageStoreOptions, "path"> = {},
): Promise<OpenStore> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, "images");
  const store = directoryImageStore({ path, ...options });
  await store.open();
  return {
    store,
    path,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function readContent(store: ImageStore, name: string): Promise<Buffer> {
  await using stream = await store.read(name);
  return await collectSparse(stream);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const xz = (bytes: Buffer): Promise<Buffer> =>
  new Promise((resolve) => compress(bytes, { preset: 0 }, resolve));

async function qcow2Of(raw: Uint8Array, ...args: readonly string[]): Promise<Buffer> {
  await using directory = await temporaryDirectory();
  return await readFile(await makeQcow2(directory.path, raw, ...args));
}

describe("import", () => {
  const raw = rawDisk();

  test.each(["plain", "gz", "xz"])("a raw disk, %s", async (wrapper) => {
    const served =
      wrapper === "gz" ? gzipSync(raw) : wrapper === "xz" ? await xz(Buffer.from(raw)) : raw;
    await using server = await serveLoopback(sendBytes(served));
    await using opened = await openStore();
    const { store, path } = opened;
    const progress: ImageImportProgress[] = [];
    const source: HttpImageSource = {
      type: "http",
      url: `${server.origin}/disk`,
      checksum: { sha256: sha256(served) },
    };
    const info = await store.importImage("disk", source, {
      onProgress: (report) => void progress.push(report),
    });
    expect(info).toEqual({
      format: "raw",
      cdrom: false,
      virtualSizeBytes: raw.length,
      storedBytes: raw.length,
      sha256: sha256(raw),
    });
    expect(progress.at(-1)?.receivedBytes).toBe(served.length);
    expect(await store.inspect("disk")).toEqual(info);
    expect((await readContent(store, "disk")).equals(raw)).toBe(true);
    const { blocks } = await stat(join(path, "disk", "image"));
    expect(blocks * 512).toBeLessThan(raw.length * 0.75);
  });

  test.each(["plain", "gz", "xz"])("a qcow2 image, %s", async (wrapper) => {
    const image = await qcow2Of(raw, "-c");
    const served = wrapper === "gz" ? gzipSync(image) : wrapper === "xz" ? await xz(image) : image;
    await using server = await serveLoopback(sendBytes(served));
    await using opened = await openStore();
    const info = await opened.store.importImage("disk", { type: "http", url: server.origin });
    expect(info).toEqual({
      format: "qcow2",
      cdrom: false,
      virtualSizeBytes: raw.length,
      storedBytes: image.length,
      sha256: sha256(image),
    });
    expect((await readContent(opened.store, "disk")).equals(raw)).toBe(true);
  });

  const others = CORPUS.filter(
    ({ klass, format }) =>
      klass === "valid" && ["vmdk", "vdi", "vhd", "vhdx", "zst", "bz2"].includes(format ?? ""),
  );
  test.each(others.map((entry) => [entry.file, entry]))("%s", async (_file, entry) => {
    await using server = await serveLoopback(sendBytes(corpusImage(entry)));
    await using opened = await openStore();
    const info = await opened.store.importImage("disk", { type: "http", url: server.origin });
    const isWrapper = entry.format === "zst" || entry.format === "bz2";
    expect(info.format).toBe(isWrapper ? "raw" : entry.format);
    expect(await opened.store.inspect("disk")).toEqual(info);
    const content = await readContent(opened.store, "disk");
    expect(content).toHaveLength(info.virtualSizeBytes);
    expect(sha256(content)).toBe(entry.raw_sha256);
  });

  test("a disc", async () => {
    const disc = createIso9660({ volumeId: "cidata", files: [{ name: "a", content: "b" }] });
    await using server = await serveLoopback(sendBytes(disc));
    await using opened = await openStore();
    const info = await opened.store.importImage("disc.iso", { type: "http", url: server.origin });
    expect(info).toMatchObject({ format: "iso", cdrom: true, virtualSizeBytes: disc.length });
    expect((await readContent(opened.store, "disc.iso")).equals(disc)).toBe(true);
  });

  test("over a broken connection that can be continued", { timeout: 30_000 }, async () => {
    const listener = sendResumable(raw, 2, () => ({ etag: '"v1"' }));
    await using server = await serveLoopback(listener);
    await using opened = await openStore();
    const info = await opened.store.importImage("disk", { type: "http", url: server.origin });
    expect(info.sha256).toBe(sha256(raw));
    expect(server.requests).toHaveLength(3);
  });

  test("is done once for the same source, and refused for another", async () => {
    await using server = await serveLoopback(sendBytes(raw));
    await using opened = await openStore();
    const { store } = opened;
    const source: HttpImageSource = {
      type: "http",
      url: `${server.origin}/a?token=1`,
      checksum: { sha256: sha256(raw) },
    };
    const [first, second] = await Promise.all([
      store.importImage("disk", source),
      store.importImage("disk", source),
    ]);
    expect(second).toEqual(first);
    expect(await store.importImage("disk", { ...source, url: `${server.origin}/mirror` })).toEqual(
      first,
    );
    expect(server.requests).toHaveLength(1);
    const others: readonly HttpImageSource[] = [
      { type: "http", url: `${server.origin}/b` },
      { type: "http", url: source.url },
      { type: "http", url: source.url, checksum: { sha256: sha256(Buffer.from("other")) } },
    ];
    for (const other of others) {
      await expect(store.importImage("disk", other)).rejects.toMatchObject({
        code: "IMAGE_CONFLICT",
      });
    }
    expect(server.requests).toHaveLength(1);
  });

  test("stores no credentials", async () => {
    await using server = await serveLoopback(sendBytes(raw));
    await using opened = await openStore();
    const url = `${server.origin.replace("//", "//user:secret@")}/a?token=secret`;
    await opened.store.importImage("disk", { type: "http", url });
    const record = await readFile(join(opened.path, "disk", "image.json"), "utf8");
    expect(record).toContain(`${server.origin}/a?…`);
    expect(record).not.toMatch(/secret|user/);
  });
});

describe("a failed import leaves nothing behind", () => {
  interface Failure {
    readonly code: string;
    readonly served: () => Promise<Uint8Array> | Uint8Array;
    readonly source?: Partial<HttpImageSource>;
    readonly limits?: DirectoryImageStoreOptions["limits"];
  }
  const raw = rawDisk();
  const failures: readonly (readonly [string, Failure])[] = [
    [
      "a wrong checksum",
      {
        code: "IMAGE_CHECKSUM_MISMATCH",
        served: () => raw,
        source: { checksum: { sha512: "0".repeat(128) } },
      },
    ],
    [
      "HTML with status 200",
      { code: "IMAGE_UNRECOGNISED", served: () => Buffer.from("<html>Sign in</html>") },
    ],
    ["zeros", { code: "IMAGE_UNRECOGNISED", served: () => Buffer.alloc(200_000) }],
    ["nothing", { code: "IMAGE_UNRECOGNISED", served: () => Buffer.alloc(0) }],
    [
      "an unsupported format",
      {
        code: "IMAGE_UNSUPPORTED",
        served: () => Buffer.concat([Buffer.from("QED\0"), Buffer.alloc(70_000)]),
      },
    ],
    [
      "a header of another format and nothing of it",
      {
        code: "IMAGE_CORRUPT",
        served: () => Buffer.concat([Buffer.from("KDMV\x01\0\0\0"), Buffer.alloc(70_000)]),
      },
    ],
    ["a tar archive", { code: "IMAGE_UNSUPPORTED", served: () => corpusFile("oci-gzip.tar") }],
    [
      "a disk that reaches into another file",
      { code: "IMAGE_UNSAFE", served: () => corpusFile("v-monolithicFlat.vmdk") },
    ],
    [
      "a disk that is cut short",
      { code: "IMAGE_TRUNCATED", served: () => raw.subarray(0, raw.length - 512) },
    ],
    [
      "a footer of another format",
      {
        code: "IMAGE_CORRUPT",
        served: () => Buffer.concat([raw, Buffer.from("conectix".padEnd(512, "\0"))]),
      },
    ],
    [
      "a wrapper in a wrapper",
      { code: "IMAGE_UNSUPPORTED", served: () => gzipSync(gzipSync(raw)) },
    ],
    ["gzip cut short", { code: "IMAGE_TRUNCATED", served: () => gzipSync(raw).subarray(0, -5) }],
    [
      "xz cut short",
      { code: "IMAGE_TRUNCATED", served: async () => (await xz(raw)).subarray(0, -5) },
    ],
    [
      "a qcow2 image with a backing file",
      {
        code: "IMAGE_UNSAFE",
        served: async () => {
          const image = await qcow2Of(raw);
          image.writeUInt32BE(512, 12);
          return image;
        },
      },
    ],
    [
      "a qcow2 image in the disk of a qcow2 image",
      { code: "IMAGE_UNSAFE", served: async () => qcow2Of(await qcow2Of(raw)) },
    ],
    [
      "a file above the limit",
      { code: "IMAGE_TOO_LARGE", served: () => gzipSync(raw), limits: { maxStoredBytes: 500_000 } },
    ],
    [
      "a disk above the limit",
      {
        code: "IMAGE_TOO_LARGE",
        served: () => qcow2Of(raw),
        limits: { maxVirtualSizeBytes: raw.length - 512 },
      },
    ],
    [
      "a bomb",
      {
        code: "IMAGE_TOO_LARGE",
        served: () =>
          gzipSync(Buffer.concat([raw.subarray(0, 512), Buffer.alloc(80 * 1024 * 1024)])),
        limits: { maxDecompressionRatio: 500 },
      },
    ],
    [
      "a certificate that is none",
      { code: "IMAGE_INVALID_ARGUMENT", served: () => raw, source: { caBundle: "none" } },
    ],
  ];

  test.each(failures)(
    "%s",
    { timeout: 60_000 },
    async (_name, { code, served, source, limits }) => {
      await using server = await serveLoopback(sendBytes(await served()));
      await using opened = await openStore(limits === undefined ? {} : { limits });
      const importing = opened.store.importImage("disk", {
        type: "http",
        url: server.origin,
        ...source,
      });
      await expect(importing).rejects.toMatchObject({ code });
      expect(await readdir(opened.path)).toEqual([]);
      expect(await opened.store.inspect("disk")).toBeUndefined();
    },
  );

  test("a qcow2 image cut at every tenth", { timeout: 60_000 }, async () => {
    for (const args of [[], ["-c"]]) {
      const image = await qcow2Of(raw, ...args);
      for (let tenth = 1; tenth < 10; tenth += 1) {
        const cut = image.subarray(0, Math.floor((image.length * tenth) / 10));
        await using server = await serveLoopback(sendBytes(cut));
        await using opened = await openStore();
        const importing = opened.store.importImage("disk", { type: "http", url: server.origin });
        await expect(importing).rejects.toMatchObject({ code: "IMAGE_TRUNCATED" });
        expect(await readdir(opened.path)).toEqual([]);
      }
    }
  });

  test("servers that fail", { timeout: 60_000 }, async () => {
    const cases = [
      ["IMAGE_SOURCE_STATUS", (response) => response.writeHead(404).end()],
      ["IMAGE_SOURCE_UNAVAILABLE", (response) => response.writeHead(503).end()],
      ["IMAGE_SOURCE_STALLED", () => {}],
      ["IMAGE_SOURCE_STALLED", (response) => response.write(raw.subarray(0, 200_000))],
      ["IMAGE_TOO_MANY_REDIRECTS", (response) => response.writeHead(302, { location: "/" }).end()],
      [
        "IMAGE_SOURCE_TRUNCATED",
        (response) => {
          response.setHeader("content-length", raw.length);
          response.write(raw.subarray(0, 300_000), () => setTimeout(() => response.destroy(), 50));
        },
      ],
    ] as const satisfies readonly (readonly [string, (response: ServerResponse) => unknown])[];
    for (const [code, respond] of cases) {
      await using server = await serveLoopback((_request, response) => void respond(response));
      await using opened = await openStore({ stallTimeoutMs: 300 });
      const importing = opened.store.importImage("disk", { type: "http", url: server.origin });
      await expect(importing).rejects.toMatchObject({ code });
      expect(await readdir(opened.path)).toEqual([]);
    }
  });

  test("an endless download of what is no image ends at its beginning", async () => {
    let written = 0;
    const page = Buffer.alloc(64 * 1024, "<p>This is not an image.</p>");
    await using server = await serveLoopback((_request, response) => {
      const { socket } = response;
      socket?.on("close", () => (written = socket.bytesWritten));
      const send = (): void => void (socket?.writable && response.write(page, send));
      send();
    });
    await using opened = await openStore();
    const importing = opened.store.importImage("disk", { type: "http", url: server.origin });
    await expect(importing).rejects.toMatchObject({ code: "IMAGE_UNRECOGNISED" });
    await vi.waitUntil(() => written > 0);
    expect(written).toBeLessThan(16 * 1024 * 1024);
    expect(await readdir(opened.path)).toEqual([]);
  });

  test("an aborted import, and one whose store is closed", async () => {
    await using server = await serveLoopback((_request, response) => {
      response.write(raw);
    });
    await using opened = await openStore();
    const reason = new Error("stop");
    const controller = new AbortController();
    const importing = opened.store.importImage(
      "disk",
      { type: "http", url: server.origin },
      { signal: controller.signal },
    );
    setTimeout(() => controller.abort(reason), 200);
    await expect(importing).rejects.toBe(reason);
    expect(await readdir(opened.path)).toEqual([]);

    const second = opened.store.importImage("disk", { type: "http", url: server.origin });
    setTimeout(() => void opened.store[Symbol.asyncDispose](), 200);
    await expect(second).rejects.toThrow("was closed");
    expect(await readdir(opened.path)).toEqual([]);
    await expect(opened.store.list()).rejects.toThrow("not open");
  });
});

describe("names and entries", () => {
  test.each([
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/a",
    "A",
    "a-",
    "-a",
    ".a",
    "a.",
    "a\0",
    "ä",
    "a".repeat(201),
  ])("%j is no name", async (name) => {
    await using opened = await openStore();
    const { store } = opened;
    for (const call of [
      () => store.inspect(name),
      () => store.read(name),
      () => store.delete(name),
      () => store.importImage(name, { type: "http", url: "http://127.0.0.1:1/" }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "IMAGE_INVALID_ARGUMENT" });
    }
  });

  test("list, inspect, read and delete", async () => {
    const raw = rawDisk();
    await using server = await serveLoopback(sendBytes(raw));
    await using opened = await openStore();
    const { store } = opened;
    for (const name of ["b", "a.img", "0"])
      await store.importImage(name, { type: "http", url: server.origin });
    expect(await store.list()).toEqual(["0", "a.img", "b"]);
    await using stream = await store.read("b");
    await store.delete("b");
    await store.delete("b");
    expect(await store.list()).toEqual(["0", "a.img"]);
    expect(await store.inspect("b")).toBeUndefined();
    await expect(store.read("b")).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    expect((await collectSparse(stream)).equals(raw)).toBe(true);
    expect((await readdir(opened.path)).toSorted()).toEqual(["0", "a.img"]);
  });

  test("a stored image that was tampered with is reported", async () => {
    await using server = await serveLoopback(sendBytes(await qcow2Of(rawDisk())));
    await using opened = await openStore();
    const { store, path } = opened;
    await store.importImage("disk", { type: "http", url: server.origin });
    await truncate(join(path, "disk", "image"), 100_000);
    await expect(store.inspect("disk")).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    await expect(store.read("disk")).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    await writeFile(join(path, "disk", "image.json"), "{}");
    await expect(store.inspect("disk")).rejects.toMatchObject({ code: "IMAGE_CORRUPT" });
    await store.delete("disk");
    expect(await store.list()).toEqual([]);
  });
});

describe("open", () => {
  test("removes what dead imports left, and nothing else", async () => {
    await using server = await serveLoopback(sendBytes(rawDisk()));
    await using opened = await openStore();
    const { store, path } = opened;
    await store.importImage("disk", { type: "http", url: server.origin });
    const self = currentOwner();
    const dead = [
      workDirectoryName("import", { ...self, startedAt: self.startedAt - 1000 }),
      workDirectoryName("delete", { ...self, pid: 2 ** 22 + 1 }),
    ];
    const alive = [
      workDirectoryName("import", self),
      workDirectoryName("import", { ...self, pid: process.ppid }),
      workDirectoryName("import", { ...self, host: "another-host" }),
      ".keep",
    ];
    for (const name of [...dead, ...alive]) {
      await mkdir(join(path, name));
      await writeFile(join(path, name, "image"), "part");
    }
    await directoryImageStore({ path }).open();
    expect((await readdir(path)).toSorted()).toEqual([...alive, "disk"].toSorted());
    expect(await store.list()).toEqual(["disk"]);
  });

  test("a running import of another store object is left alone", async () => {
    const raw = rawDisk();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    await using server = await serveLoopback((_request, response) => {
      response.setHeader("content-length", raw.length);
      response.write(raw.subarray(0, 400_000), () => begin());
      void released.then(() => response.end(raw.subarray(400_000)));
    });
    await using opened = await openStore();
    const importing = opened.store.importImage("disk", { type: "http", url: server.origin });
    await begun;
    await directoryImageStore({ path: opened.path }).open();
    release();
    expect((await importing).sha256).toBe(sha256(raw));
  });

  test("is needed, and reports a path that cannot be a directory", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "file");
    await writeFile(file, "");
    await symlink(file, join(directory.path, "link"));
    for (const path of [file, join(file, "below"), join(directory.path, "link")]) {
      await expect(directoryImageStore({ path }).open()).rejects.toMatchObject({
        code: "IMAGE_IO",
      });
    }
    await expect(directoryImageStore({ path: file }).list()).rejects.toMatchObject({
      code: "IMAGE_INVALID_ARGUMENT",
    });
  });
});
