import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ImageSource, ImageStore, UploadImageSource } from "../backend/image-store.ts";
import type { SparseStream } from "../backend/sparse-stream.ts";
import type { ConformanceCase, ConformanceSuite } from "./conformance-case.ts";

/** An image store that is open, and what the suite needs around it. */
export interface ImageStoreFixture extends AsyncDisposable {
  readonly imageStore: ImageStore;
  /** Serves a file, and gives its URL. Each call gives another URL. */
  readonly serve: (file: Uint8Array) => Promise<string>;
}

const MEBIBYTE = 2 ** 20;

/** A raw disk image of one partition, as the master boot record of a PC describes it. */
function file(first: string): Buffer {
  const bytes = Buffer.alloc(2 * MEBIBYTE);
  const entry = 446;
  bytes.writeUInt8(0x83, entry + 4);
  bytes.writeUInt32LE(1, entry + 8);
  bytes.writeUInt32LE(bytes.length / 512 - 1, entry + 12);
  bytes.writeUInt16BE(0x55aa, 510);
  bytes.write(first, 512);
  bytes.write("end", bytes.length - 512);
  return bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function contentOf(stream: SparseStream): Promise<Buffer> {
  const content = Buffer.alloc(stream.sizeBytes);
  let offset = 0;
  for await (const extent of stream) {
    if (extent.type === "data") content.set(extent.bytes, offset);
    offset += extent.type === "data" ? extent.bytes.length : extent.length;
  }
  assert.equal(offset, stream.sizeBytes);
  return content;
}

async function assertKept(imageStore: ImageStore, name: string, expected: Buffer): Promise<void> {
  const info = await imageStore.inspect(name);
  assert.equal(info?.virtualSizeBytes, expected.length);
  assert.equal(info.cdrom, false);
  await using stream = await imageStore.read(name);
  assert.ok(expected.equals(await contentOf(stream)), "the content differs");
}

/** Fails unless an import fails with a code and a message, and leaves nothing. */
async function assertFails(
  imageStore: ImageStore,
  source: ImageSource,
  options: { readonly retryable?: boolean } = {},
): Promise<void> {
  await assert.rejects(imageStore.importImage("vi-one", source, {}), (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.notEqual(error.message, "");
    assert.equal(typeof Reflect.get(error, "code"), "string");
    const { retryable } = options;
    if (retryable !== undefined) assert.equal(Reflect.get(error, "retryable"), retryable);
    return true;
  });
  assert.equal(await imageStore.inspect("vi-one"), undefined);
}

function upload(bytes: Uint8Array, extra: Partial<UploadImageSource> = {}): UploadImageSource {
  const content = (async function* () {
    for (let offset = 0; offset < bytes.length; offset += MEBIBYTE)
      yield bytes.subarray(offset, offset + MEBIBYTE);
  })();
  return { type: "upload", id: "upload-1", content, ...extra };
}

const cases: readonly ConformanceCase<ImageStoreFixture>[] = [
  {
    id: "fixture/isolated",
    title: "two instances share nothing",
    requires: [],
    async run({ imageStore, serve }, openAnother) {
      await using other = await openAnother();
      const url = await serve(file("one"));
      await imageStore.importImage("vi-one", { type: "http", url }, {});
      assert.equal(await other.imageStore.inspect("vi-one"), undefined);
      await other.imageStore.delete("vi-one");
      assert.ok(await imageStore.inspect("vi-one"));
    },
  },
  {
    id: "import/http",
    title: "an image is fetched, described and read",
    requires: [],
    async run({ imageStore, serve }) {
      const bytes = file("one");
      const source = { type: "http", url: await serve(bytes) } as const;
      let received = 0;
      const info = await imageStore.importImage("vi-one", source, {
        onProgress: ({ receivedBytes, bytesPerSecond }) => {
          assert.ok(receivedBytes >= received && bytesPerSecond >= 0);
          received = receivedBytes;
        },
      });
      assert.equal(info.sha256, sha256(bytes));
      assert.deepEqual(await imageStore.inspect("vi-one"), info);
      await assertKept(imageStore, "vi-one", bytes);
    },
  },
  {
    id: "import/repeated",
    title: "the same import again gives what is there; another source under that name is refused",
    requires: [],
    async run({ imageStore, serve }) {
      const source = { type: "http", url: await serve(file("one")) } as const;
      const info = await imageStore.importImage("vi-one", source, {});
      assert.deepEqual(await imageStore.importImage("vi-one", source, {}), info);
      const other = { type: "http", url: await serve(file("two")) } as const;
      await assert.rejects(imageStore.importImage("vi-one", other, {}), { code: "IMAGE_CONFLICT" });
      await assertKept(imageStore, "vi-one", file("one"));
    },
  },
  {
    id: "import/checksum",
    title: "an image with the digest that was expected is kept, with another one it is not",
    requires: [],
    async run({ imageStore, serve }) {
      const bytes = file("one");
      const url = await serve(bytes);
      const wrong = { sha256: sha256(file("two")) };
      await assertFails(imageStore, { type: "http", url, checksum: wrong }, { retryable: false });
      const right = { sha256: sha256(bytes) };
      await imageStore.importImage("vi-one", { type: "http", url, checksum: right }, {});
      await assertKept(imageStore, "vi-one", bytes);
    },
  },
  {
    id: "import/missing",
    title: "what is not there cannot be fetched, and trying again is no use",
    requires: [],
    async run({ imageStore, serve }) {
      const url = `${await serve(file("one"))}-missing`;
      await assertFails(imageStore, { type: "http", url }, { retryable: false });
    },
  },
  {
    id: "import/aborted",
    title: "an import that is aborted leaves nothing, and can be done again",
    requires: [],
    async run({ imageStore, serve }) {
      const source = { type: "http", url: await serve(file("one")) } as const;
      const signal = AbortSignal.abort(new Error("no longer wanted"));
      await assert.rejects(imageStore.importImage("vi-one", source, { signal }));
      assert.equal(await imageStore.inspect("vi-one"), undefined);
      await imageStore.importImage("vi-one", source, {});
      await assertKept(imageStore, "vi-one", file("one"));
    },
  },
  {
    id: "import/upload",
    title: "an image that is sent is kept; one that ends too early or is not what was said is not",
    requires: [],
    async run({ imageStore }) {
      const bytes = file("one");
      const sizeBytes = bytes.length;
      await assertFails(imageStore, upload(bytes.subarray(0, MEBIBYTE), { sizeBytes }));
      await assertFails(imageStore, upload(bytes, { checksum: { sha256: sha256(file("two")) } }));
      const checksum = { sha256: sha256(bytes) };
      await imageStore.importImage("vi-one", upload(bytes, { sizeBytes, checksum }), {});
      await assertKept(imageStore, "vi-one", bytes);
    },
  },
  {
    id: "import/upload-breaks",
    title: "an upload that breaks leaves nothing",
    requires: [],
    async run({ imageStore }) {
      const content = (async function* () {
        yield file("one").subarray(0, MEBIBYTE);
        throw new Error("the sender went away");
      })();
      const source = { type: "upload", id: "upload-1", content } as const;
      await assert.rejects(imageStore.importImage("vi-one", source, {}));
      assert.equal(await imageStore.inspect("vi-one"), undefined);
    },
  },
  {
    id: "import/disk",
    title: "the content of a disk becomes an image",
    requires: [],
    async run({ imageStore }) {
      const head = file("one").subarray(0, 1024);
      const stream: SparseStream = {
        sizeBytes: 2 * MEBIBYTE,
        async *[Symbol.asyncIterator]() {
          yield { type: "data", bytes: head };
          yield { type: "hole", length: 2 * MEBIBYTE - head.length };
        },
        [Symbol.asyncDispose]: async () => {},
      };
      const source = { type: "disk", id: "vd-1", open: async () => stream } as const;
      await imageStore.importImage("vi-one", source, {});
      await assertKept(imageStore, "vi-one", Buffer.concat([head], 2 * MEBIBYTE));
    },
  },
  {
    id: "delete/gone",
    title: "an image that is deleted is gone, and again does nothing",
    requires: [],
    async run({ imageStore, serve }) {
      const source = { type: "http", url: await serve(file("one")) } as const;
      await imageStore.importImage("vi-one", source, {});
      await imageStore.delete("vi-one");
      await imageStore.delete("vi-one");
      assert.equal(await imageStore.inspect("vi-one"), undefined);
      await assert.rejects(imageStore.read("vi-one"));
    },
  },
];

/** What every image store must do. */
export const imageStoreSuite: ConformanceSuite<ImageStoreFixture> = {
  port: "ImageStore",
  cases,
  capabilities: () => ({}),
};
