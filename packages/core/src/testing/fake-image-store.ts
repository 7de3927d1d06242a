import type { ImageInfo, ImageSource, ImageStore } from "../backend/image-store.ts";
import type { SparseExtent, SparseStream } from "../backend/sparse-stream.ts";
import { PolyvisorError } from "../util/errors.ts";

/** An image that a {@link FakeImageStore} finds at a URL. */
export interface FakeImage {
  readonly extents: readonly SparseExtent[];
  /** Default false. */
  readonly cdrom?: boolean;
  /** When set, an import goes on only when this has resolved. */
  readonly until?: Promise<void>;
}

interface KnownImage {
  readonly url: string;
  readonly image: FakeImage;
  readonly info: ImageInfo;
}

/** An image store in memory, for tests: what is at a URL is said beforehand. */
export class FakeImageStore implements ImageStore {
  readonly #served = new Map<string, FakeImage | Error>();
  readonly #images = new Map<string, KnownImage>();

  /** Says what is at a URL: an image, or the error that its import ends with. */
  serve(url: string, content: FakeImage | Error): void {
    this.#served.set(url, content);
  }

  /** Names of all images. */
  names(): string[] {
    return [...this.#images.keys()].sort();
  }

  async open(): Promise<void> {}

  async importImage(
    name: string,
    source: ImageSource,
    { signal, onProgress }: Parameters<ImageStore["importImage"]>[2],
  ): Promise<ImageInfo> {
    signal?.throwIfAborted();
    if (source.type !== "http") {
      throw new PolyvisorError("POLYVISOR_UNSUPPORTED", `images of type ${source.type}`);
    }
    const { url } = source;
    const known = this.#images.get(name);
    if (known?.url === url) return known.info;
    if (known)
      throw Object.assign(new Error(`image "${name}" is there`), { code: "IMAGE_CONFLICT" });
    const content = this.#served.get(url);
    if (content instanceof Error) throw content;
    if (content === undefined)
      throw new PolyvisorError("POLYVISOR_NOT_FOUND", `${url} answers 404`);
    const virtualSizeBytes = sizeOf(content);
    onProgress?.({
      receivedBytes: virtualSizeBytes / 2,
      totalBytes: virtualSizeBytes,
      bytesPerSecond: 1,
    });
    if (content.until) await Promise.race([content.until, aborted(signal)]);
    signal?.throwIfAborted();
    const info: ImageInfo = {
      format: content.cdrom ? "iso" : "raw",
      cdrom: content.cdrom ?? false,
      virtualSizeBytes,
      storedBytes: virtualSizeBytes,
      sha256: "0".repeat(64),
    };
    this.#images.set(name, { url, image: content, info });
    return info;
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
