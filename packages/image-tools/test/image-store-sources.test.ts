import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  createIso9660,
  directoryImageStore,
  type ImageImportProgress,
  type ImageStore,
  type SparseExtent,
  type StoredImageSource,
} from "../src/index.ts";
import { collectSparse } from "./support/collect.ts";
import { serveLoopback } from "./support/loopback-server.ts";
import { rawDisk } from "./support/made-images.ts";
import { ociImage, serveImage } from "./support/oci-image.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

async function openStore(): Promise<AsyncDisposable & { store: ImageStore; path: string }> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, "images");
  const store = directoryImageStore({ path });
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

async function* inPieces(bytes: Uint8Array, length = 70_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += length) {
    yield bytes.subarray(start, start + length);
  }
}

function upload(
  bytes: Uint8Array,
  more: Partial<Extract<StoredImageSource, { type: "upload" }>> = {},
): StoredImageSource {
  return { type: "upload", id: "one", content: inPieces(bytes), ...more };
}

describe("a container image", () => {
  test("gives its disk, with progress, and is recognised the next time", async () => {
    const raw = rawDisk();
    const image = await ociImage([[{ name: "disk/disk.img.gz", content: gzipSync(raw) }]]);
    await using server = await serveLoopback(serveImage(image));
    await using opened = await openStore();
    const reference = `${new URL(server.origin).host}/repo/image:latest`;
    const source: StoredImageSource = { type: "container", image: reference };
    const progress: ImageImportProgress[] = [];
    const onProgress = (report: ImageImportProgress): number => progress.push(report);
    const info = await opened.store.importImage("disk", source, { onProgress });
    expect(info).toMatchObject({ format: "raw", cdrom: false, sha256: sha256(raw) });
    expect(progress.at(-1)?.receivedBytes).toBe(progress.at(-1)?.totalBytes);
    expect((await readContent(opened.store, "disk")).equals(raw)).toBe(true);
    const before = server.requests.length;
    expect(await opened.store.importImage("disk", source)).toEqual(info);
    expect(server.requests).toHaveLength(before);
    const other = { ...source, image: `${reference}@sha256:${"0".repeat(64)}` };
    await expect(opened.store.importImage("disk", other)).rejects.toMatchObject({
      code: "IMAGE_CONFLICT",
      message: expect.stringContaining(reference),
    });
  });

  test("that does not exist leaves nothing", async () => {
    await using server = await serveLoopback((_request, response) => {
      response.writeHead(404).end();
    });
    await using opened = await openStore();
    const image = `${new URL(server.origin).host}/repo/image:latest`;
    await expect(
      opened.store.importImage("disk", { type: "container", image }),
    ).rejects.toMatchObject({ code: "IMAGE_SOURCE_STATUS" });
    expect(await readdir(opened.path)).toEqual([]);
  });
});

describe("an upload", () => {
  const raw = rawDisk();

  test("is unpacked, checked and kept", async () => {
    const sent = gzipSync(raw);
    await using opened = await openStore();
    const checksum = { sha256: sha256(sent) };
    const source = upload(sent, { checksum, sizeBytes: sent.length });
    const info = await opened.store.importImage("disk", source);
    expect(info).toMatchObject({ format: "raw", sha256: sha256(raw) });
    expect((await readContent(opened.store, "disk")).equals(raw)).toBe(true);
    expect(await opened.store.importImage("disk", upload(sent, { checksum }))).toEqual(info);
    await expect(
      opened.store.importImage("disk", upload(sent, { id: "two" })),
    ).rejects.toMatchObject({ code: "IMAGE_CONFLICT" });
  });

  test("of an optical disc is one", async () => {
    const iso = createIso9660({ files: [{ name: "a", content: "b" }], volumeId: "TEST" });
    await using opened = await openStore();
    const info = await opened.store.importImage("disc", upload(iso));
    expect(info).toMatchObject({ format: "iso", cdrom: true });
  });

  test.each<[string, Partial<Extract<StoredImageSource, { type: "upload" }>>, string]>([
    ["with another checksum", { checksum: { md5: "0".repeat(32) } }, "IMAGE_CHECKSUM_MISMATCH"],
    ["that is shorter than announced", { sizeBytes: raw.length + 1 }, "IMAGE_SOURCE_TRUNCATED"],
    ["that is longer than announced", { sizeBytes: raw.length - 1 }, "IMAGE_SOURCE_INVALID"],
    ["of no image", { content: inPieces(Buffer.from("hello")) }, "IMAGE_UNRECOGNISED"],
  ])("%s leaves nothing", async (_, more, code) => {
    await using opened = await openStore();
    await expect(opened.store.importImage("disk", upload(raw, more))).rejects.toMatchObject({
      code,
    });
    expect(await readdir(opened.path)).toEqual([]);
  });

  test("that breaks off leaves nothing", async () => {
    await using opened = await openStore();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield raw.subarray(0, 100_000);
      throw new Error("the connection was reset");
    }
    await expect(
      opened.store.importImage("disk", upload(raw, { content: broken() })),
    ).rejects.toThrow("the upload ended with an error");
    expect(await readdir(opened.path)).toEqual([]);
  });
});

describe("the content of a disk", () => {
  const data = Buffer.from("data of a guest");
  const extents: SparseExtent[] = [
    { type: "hole", length: 3_000_000 },
    { type: "data", bytes: data },
    { type: "hole", length: 145_728 - data.length },
  ];
  const sizeBytes = 3_145_728;

  function disk(content: readonly SparseExtent[], size = sizeBytes): StoredImageSource {
    return {
      type: "disk",
      id: "volume",
      open: async () => ({
        sizeBytes: size,
        async *[Symbol.asyncIterator]() {
          yield* content;
        },
        [Symbol.asyncDispose]: async () => {},
      }),
    };
  }

  test("is kept as it is, whatever it is", async () => {
    await using opened = await openStore();
    const progress: ImageImportProgress[] = [];
    const onProgress = (report: ImageImportProgress): number => progress.push(report);
    const info = await opened.store.importImage("disk", disk(extents), { onProgress });
    expect(info).toMatchObject({
      format: "raw",
      cdrom: false,
      virtualSizeBytes: sizeBytes,
      storedBytes: sizeBytes,
    });
    expect(progress.at(-1)).toMatchObject({ receivedBytes: sizeBytes, totalBytes: sizeBytes });
    const expected = Buffer.alloc(sizeBytes);
    data.copy(expected, 3_000_000);
    expect((await readContent(opened.store, "disk")).equals(expected)).toBe(true);
    expect(await opened.store.importImage("disk", disk([]))).toEqual(info);
  });

  test("that is blank is kept too", async () => {
    await using opened = await openStore();
    const blank = disk([{ type: "hole", length: sizeBytes }]);
    await opened.store.importImage("disk", blank);
    expect((await readContent(opened.store, "disk")).equals(Buffer.alloc(sizeBytes))).toBe(true);
  });

  test("that is not as long as it says leaves nothing", async () => {
    await using opened = await openStore();
    await expect(
      opened.store.importImage("disk", disk(extents, sizeBytes + 512)),
    ).rejects.toMatchObject({ code: "IMAGE_SOURCE_INVALID" });
    expect(await readdir(opened.path)).toEqual([]);
  });

  test("ends with the signal and leaves nothing", async () => {
    await using opened = await openStore();
    const abort = new AbortController();
    const source: StoredImageSource = {
      type: "disk",
      id: "volume",
      open: async () => ({
        sizeBytes,
        async *[Symbol.asyncIterator](): AsyncGenerator<SparseExtent> {
          yield { type: "hole", length: 1_048_576 };
          abort.abort(new Error("no longer wanted"));
          yield { type: "hole", length: sizeBytes - 1_048_576 };
        },
        [Symbol.asyncDispose]: async () => {},
      }),
    };
    const { signal } = abort;
    await expect(opened.store.importImage("disk", source, { signal })).rejects.toThrow(
      "no longer wanted",
    );
    expect(await readdir(opened.path)).toEqual([]);
  });
});
