import { createHash } from "node:crypto";
import type { ImageInfo, ImageSource, ImageStore } from "../backend/image-store.ts";
import type { SparseExtent, SparseStream } from "../backend/sparse-stream.ts";
import { PolyvisorError } from "../util/errors.ts";

/** An image that a {@link FakeImageStore} finds at a URL or in a registry, or is sent. */
export interface FakeImage {
  readonly extents: readonly SparseExtent[];
  /** Default false. */
  readonly cdrom?: boolean;
  /** When set, an import goes on only when this has resolved. */
  readonly until?: Promise<void>;
}

interface KnownImage {
  /** Tells the source from others. */
  readonly origin: string;
  readonly image: FakeImage;
  readonly info: ImageInfo;
}

/** Bytes with which a file begins that {@link FakeImageStore} takes for an ISO image. */
export const FAKE_ISO_MAGIC = "CD001";

/**
 * An image store in memory, for tests: what is at a URL or in a registry is said beforehand; what is sent is taken as a
 * raw disk, or as an ISO image when it begins with {@link FAKE_ISO_MAGIC}.
 */
export class FakeImageStore implements ImageStore {
  readonly #served = new Map<string, FakeImage | Error>();
  readonly #images = new Map<string, KnownImage>();
  /** The credentials that the last import from a registry was made with. */
  lastDockerConfig: string | undefined;

  /** Says what is at a URL or in a registry: an image, or the error that its import ends with. */
  serve(address: string, content: FakeImage | Error): void {
    this.#served.set(address, content);
  }

  /** Names of all images. */
  names(): string[] {
    return [...this.#images.keys()].sort();
  }

  /** Loses the content of an image. */
  lose(name: string): void {
    this.#images.delete(name);
  }

  async open(): Promise<void> {}

  async importImage(
    name: string,
    source: ImageSource,
    { signal, onProgress }: Parameters<ImageStore["importImage"]>[2],
  ): Promise<ImageInfo> {
    signal?.throwIfAborted();
    const origin = originOf(source);
    const known = this.#images.get(name);
    if (known?.origin === origin) return known.info;
    if (known)
      throw Object.assign(new Error(`image "${name}" is there`), { code: "IMAGE_CONFLICT" });
    if (source.type === "container") this.lastDockerConfig = source.dockerConfig;
    const image = await this.#fetch(source, signal);
    const virtualSizeBytes = sizeOf(image);
    onProgress?.({
      receivedBytes: virtualSizeBytes / 2,
      totalBytes: virtualSizeBytes,
      bytesPerSecond: 1,
    });
    if (image.until) await Promise.race([image.until, aborted(signal)]);
    signal?.throwIfAborted();
    const info: ImageInfo = {
      format: image.cdrom ? "iso" : "raw",
      cdrom: image.cdrom ?? false,
      virtualSizeBytes,
      storedBytes: virtualSizeBytes,
      sha256: digestOf(image),
    };
    this.#images.set(name, { origin, image, info });
    return info;
  }

  async #fetch(source: ImageSource, signal: AbortSignal | undefined): Promise<FakeImage> {
    switch (source.type) {
      case "http":
        return this.#find(source.url);
      case "container":
        return this.#find(source.image);
      case "disk": {
        await using stream = await source.open(signal ?? new AbortController().signal);
        const extents: SparseExtent[] = [];
        for await (const extent of stream) {
          signal?.throwIfAborted();
          extents.push(extent);
        }
        return { extents };
      }
      case "upload":
        return receive(source, signal);
    }
  }

  #find(address: string): FakeImage {
    const content = this.#served.get(address);
    if (content instanceof Error) throw content;
    if (content) return content;
    throw new PolyvisorError("POLYVISOR_NOT_FOUND", `${address} answers 404`);
  }

  async inspect(name: string): Promise<ImageInfo | undefined> {
    return this.#images.get(name)?.info;
  }

  async read(name: string): Promise<SparseStream> {
    const found = this.#images.get(name);
    if (!found) throw new PolyvisorError("POLYVISOR_NOT_FOUND", `image "${name}" does not exist`);
    const { extents } = found.image;
    return {
      sizeBytes: found.info.virtualSizeBytes,
      async *[Symbol.asyncIterator]() {
        yield* extents;
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async delete(name: string): Promise<void> {
    this.#images.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function originOf(source: ImageSource): string {
  switch (source.type) {
    case "http":
      return source.url;
    case "container":
      return source.image;
    case "upload":
    case "disk":
      return `${source.type} ${source.id}`;
  }
}

async function receive(
  source: Extract<ImageSource, { type: "upload" }>,
  signal: AbortSignal | undefined,
): Promise<FakeImage> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.content) {
    signal?.throwIfAborted();
    pieces.push(piece);
  }
  const bytes = Buffer.concat(pieces);
  const cdrom = bytes.subarray(0, FAKE_ISO_MAGIC.length).toString() === FAKE_ISO_MAGIC;
  const image: FakeImage = { extents: [{ type: "data", bytes }], cdrom };
  const wanted = source.checksum?.sha256;
  if (wanted !== undefined && wanted !== digestOf(image)) {
    throw new PolyvisorError("POLYVISOR_INVALID", `the SHA-256 is ${digestOf(image)}`);
  }
  return image;
}

function digestOf({ extents }: FakeImage): string {
  const hash = createHash("sha256");
  for (const extent of extents) if (extent.type === "data") hash.update(extent.bytes);
  return hash.digest("hex");
}

function sizeOf({ extents }: FakeImage): number {
  return extents.reduce(
    (total, extent) => total + (extent.type === "data" ? extent.bytes.length : extent.length),
    0,
  );
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
