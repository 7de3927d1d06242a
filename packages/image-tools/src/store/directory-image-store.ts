import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ImageError } from "../image-error.ts";
import { resolveImageLimits, type ImageLimits } from "../image-limits.ts";
import type { SparseStream } from "../sparse/sparse-stream.ts";
import { checkImageName, IMAGE_FILE, isImageName } from "./image-name.ts";
import {
  formatImageRecord,
  isSameOrigin,
  originOf,
  parseImageRecord,
  type ImageRecord,
} from "./image-record.ts";
import type {
  ImageInfo,
  ImageStore,
  ImageStoreCallOptions,
  ImportImageOptions,
  StoredImageSource,
} from "./image-store.ts";
import { currentOwner, isAbandoned, workDirectoryName } from "./import-directory.ts";
import { NamedLocks } from "./named-locks.ts";
import { hasErrno, translateStorageError } from "./storage-failure.ts";

/** Options of {@link directoryImageStore}. */
export interface DirectoryImageStoreOptions {
  /** The store's directory; created by `open`. Keep nothing else in it. */
  readonly path: string;
  /** Longest silence of an image's server in milliseconds. Default: 30 000. */
  readonly stallTimeoutMs?: number;
  readonly limits?: ImageLimits;
}

/**
 * An image store in a directory of the local file system. Every image has a directory of its own,
 * which appears and disappears in one step, so that several processes may share the store.
 */
export function directoryImageStore(options: DirectoryImageStoreOptions): ImageStore {
  return new DirectoryImageStore(options);
}

const RECORD_FILE = "image.json";

class DirectoryImageStore implements ImageStore {
  readonly #path: string;
  readonly #stallTimeoutMs: number | undefined;
  readonly #limits: Required<ImageLimits>;
  readonly #locks = new NamedLocks();
  readonly #owner = currentOwner();
  readonly #closing = new AbortController();
  readonly #imports = new Set<Promise<unknown>>();
  #isOpen = false;

  constructor(options: DirectoryImageStoreOptions) {
    this.#path = resolve(options.path);
    this.#stallTimeoutMs = options.stallTimeoutMs;
    this.#limits = resolveImageLimits(options.limits);
  }

  async open({ signal }: ImageStoreCallOptions = {}): Promise<void> {
    await this.#guard("opening the image store", async () => {
      await mkdir(this.#path, { recursive: true, mode: 0o750 });
      for (const entry of await readdir(this.#path)) {
        signal?.throwIfAborted();
        const path = join(this.#path, entry);
        if (await isAbandoned(path, entry, this.#owner)) await removeTree(path);
      }
      this.#isOpen = true;
    });
  }

  async importImage(
    name: string,
    source: StoredImageSource,
    options: ImportImageOptions = {},
  ): Promise<ImageInfo> {
    this.#checkCall(name);
    const signal = AbortSignal.any([
      this.#closing.signal,
      ...(options.signal ? [options.signal] : []),
    ]);
    const running = this.#locks.run(name, signal, () =>
      this.#guard(`importing image "${name}"`, () =>
        this.#importLocked(name, source, { ...options, signal }),
      ),
    );
    this.#imports.add(running);
    try {
      return await running;
    } finally {
      this.#imports.delete(running);
    }
  }

  async inspect(
    name: string,
    { signal }: ImageStoreCallOptions = {},
  ): Promise<ImageInfo | undefined> {
    this.#checkCall(name);
    signal?.throwIfAborted();
    return (await this.#readRecord(name))?.info;
  }

  async read(name: string, { signal }: ImageStoreCallOptions = {}): Promise<SparseStream> {
    this.#checkCall(name);
    signal?.throwIfAborted();
    const record = await this.#readRecord(name);
    if (record === undefined) {
      throw new ImageError("IMAGE_NOT_FOUND", `there is no image "${name}" in the store`);
    }
    const { openStoredDisk } = await import("./open-stored-disk.ts");
    return openStoredDisk(join(this.#path, name, IMAGE_FILE), {
      format: record.info.format,
      maxVirtualSizeBytes: this.#limits.maxVirtualSizeBytes,
      signal,
    });
  }

  async delete(name: string, { signal }: ImageStoreCallOptions = {}): Promise<void> {
    this.#checkCall(name);
    await this.#locks.run(name, signal, () =>
      this.#guard(`deleting image "${name}"`, async () => {
        const trash = join(this.#path, workDirectoryName("delete", this.#owner));
        try {
          await rename(join(this.#path, name), trash);
        } catch (error) {
          if (hasErrno(error, "ENOENT")) return;
          throw error;
        }
        await removeTree(trash);
        await syncDirectory(this.#path);
      }),
    );
  }

  async list({ signal }: ImageStoreCallOptions = {}): Promise<readonly string[]> {
    this.#checkOpen();
    signal?.throwIfAborted();
    const entries = await this.#guard("listing the image store", () => readdir(this.#path));
    return entries.filter(isImageName).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    this.#closing.abort(new ImageError("IMAGE_IO", "the image store was closed"));
    await Promise.allSettled(this.#imports);
  }

  async #importLocked(
    name: string,
    source: StoredImageSource,
    options: ImportImageOptions,
  ): Promise<ImageInfo> {
    const origin = originOf(source);
    const existing = await this.#readRecord(name);
    if (existing !== undefined) return requireSameOrigin(name, existing, origin);

    const work = join(this.#path, workDirectoryName("import", this.#owner));
    await mkdir(work, { mode: 0o750 });
    try {
      const info = await this.#receive(work, source, options);
      await writeFile(join(work, RECORD_FILE), formatImageRecord({ version: 1, info, origin }), {
        flush: true,
      });
      await syncDirectory(work);
      options.signal?.throwIfAborted();
      try {
        await rename(work, join(this.#path, name));
      } catch (error) {
        if (!hasErrno(error, "ENOTEMPTY", "EEXIST")) throw error;
        return await this.#yieldToOther(name, origin, error);
      }
      await syncDirectory(this.#path);
      return info;
    } finally {
      await removeTree(work);
    }
  }

  async #receive(
    work: string,
    source: StoredImageSource,
    options: ImportImageOptions,
  ): Promise<ImageInfo> {
    const settings = { ...options, limits: this.#limits, stallTimeoutMs: this.#stallTimeoutMs };
    if (source.type === "disk") {
      const { receiveDisk } = await import("./receive-disk.ts");
      return receiveDisk(work, source, settings);
    }
    const { receiveImage } = await import("./receive-image.ts");
    return receiveImage(work, source, settings);
  }

  /** Another process published the name during this import. */
  async #yieldToOther(
    name: string,
    origin: ImageRecord["origin"],
    error: unknown,
  ): Promise<ImageInfo> {
    const existing = await this.#readRecord(name);
    if (existing === undefined) throw error;
    return requireSameOrigin(name, existing, origin);
  }

  async #readRecord(name: string): Promise<ImageRecord | undefined> {
    return this.#guard(`reading image "${name}"`, async () => {
      const directory = join(this.#path, name);
      let text: string;
      try {
        text = await readFile(join(directory, RECORD_FILE), "utf8");
      } catch (error) {
        if (hasErrno(error, "ENOENT")) return undefined;
        throw error;
      }
      const record = parseImageRecord(text, name);
      const status = await stat(join(directory, IMAGE_FILE)).catch((error: unknown) => {
        if (hasErrno(error, "ENOENT")) return undefined;
        throw error;
      });
      if (status?.size !== record.info.storedBytes) {
        throw new ImageError(
          "IMAGE_CORRUPT",
          `the file of image "${name}" is missing or has changed its size; delete and import it again`,
        );
      }
      return record;
    });
  }

  #checkCall(name: string): void {
    this.#checkOpen();
    checkImageName(name);
  }

  #checkOpen(): void {
    if (this.#isOpen) return;
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      "the image store is not open; call open() first",
    );
  }

  async #guard<Result>(subject: string, operation: () => Promise<Result>): Promise<Result> {
    try {
      return await operation();
    } catch (error) {
      throw translateStorageError(error, subject);
    }
  }
}

function requireSameOrigin(
  name: string,
  existing: ImageRecord,
  origin: ImageRecord["origin"],
): ImageInfo {
  if (isSameOrigin(existing.origin, origin)) return existing.info;
  throw new ImageError(
    "IMAGE_CONFLICT",
    `image "${name}" exists already and came from ${existing.origin.location}; delete it first or use another name`,
  );
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
