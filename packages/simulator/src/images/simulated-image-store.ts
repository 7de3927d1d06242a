import { createHash } from "node:crypto";
import type {
  Clock,
  ContainerImageSource,
  DiskImageSource,
  HttpImageSource,
  ImageChecksum,
  ImageImportProgress,
  ImageInfo,
  ImageSource,
  ImageStore,
  SparseStream,
  UploadImageSource,
} from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { Verb } from "../faults/fault.ts";
import type { Wire } from "../network/wire.ts";
import { type Content, ContentStream, readContent } from "../storage/content.ts";
import { pause } from "../time/pause.ts";
import { ImageFailure } from "./image-failure.ts";
import type { ImageOptions } from "./image-options.ts";
import { isLoggedIn } from "./registry-login.ts";
import { digestOf, type ServedImage, servedImage } from "./served-image.ts";
import { uploadedImage } from "./uploaded-image.ts";

/** Milliseconds between reports of progress. */
const PROGRESS_STEP = 500;
/** Milliseconds each way. */
const LATENCY = 20;

interface KeptImage {
  readonly key: string;
  readonly info: ImageInfo;
  readonly content: Content;
}

type Report = ((progress: ImageImportProgress) => void) | undefined;

/** An image store in memory, and the servers and registries that it fetches from. */
export class SimulatedImageStore implements ImageStore {
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #wire: Wire;
  readonly #served = new Map<string, ServedImage>();
  readonly #kept = new Map<string, KeptImage>();

  constructor(context: { readonly clock: Clock; readonly log: EventLog; readonly wire: Wire }) {
    this.#clock = context.clock;
    this.#log = context.log;
    this.#wire = context.wire;
  }

  /** Serves an image at a URL, or as a container image; in place of what was there. */
  serve(address: string, options: ImageOptions): void {
    this.#served.set(address, servedImage(address, options));
  }

  async open(): Promise<void> {}

  async importImage(
    name: string,
    source: ImageSource,
    { signal, onProgress }: Parameters<ImageStore["importImage"]>[2],
  ): Promise<ImageInfo> {
    return this.#call("importImage", signal, async () => {
      const key = keyOf(source);
      const known = this.#checkFree(name, key);
      if (known) return known.info;
      const { info, content } = await this.#fetch(source, signal, onProgress);
      // Another import may have been faster.
      const other = this.#checkFree(name, key);
      if (other) return other.info;
      this.#kept.set(name, { key, info, content });
      this.#log.record("image-imported", {
        image: name,
        from: source.type,
        bytes: info.storedBytes,
      });
      return info;
    });
  }

  inspect(
    name: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ImageInfo | undefined> {
    return this.#call("inspectImage", options.signal, () => this.#kept.get(name)?.info);
  }

  read(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<SparseStream> {
    return this.#call("readImage", options.signal, () => {
      const image = this.#kept.get(name);
      if (image) return image.content.stream();
      throw new ImageFailure("IMAGE_NOT_FOUND", `there is no image ${JSON.stringify(name)}`);
    });
  }

  delete(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#call("deleteImage", options.signal, () => {
      if (this.#kept.delete(name)) this.#log.record("image-deleted", { image: name });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #checkFree(name: string, key: string): KeptImage | undefined {
    const known = this.#kept.get(name);
    if (known === undefined || known.key === key) return known;
    throw new ImageFailure("IMAGE_CONFLICT", `image ${JSON.stringify(name)} is of another source`);
  }

  #fetch(
    source: ImageSource,
    signal: AbortSignal | undefined,
    report: Report,
  ): Promise<{ readonly info: ImageInfo; readonly content: Content }> {
    switch (source.type) {
      case "http":
        return this.#download(source.url, source, signal, report);
      case "container":
        return this.#download(source.image, source, signal, report);
      case "upload":
        return this.#takeUpload(source, signal, report);
      case "disk":
        return this.#copyDisk(source, signal, report);
    }
  }

  async #download(
    address: string,
    source: HttpImageSource | ContainerImageSource,
    signal: AbortSignal | undefined,
    report: Report,
  ): Promise<ServedImage> {
    const image = this.#served.get(address);
    const status = image ? (image.options.status ?? 200) : 404;
    if (image === undefined || status >= 400) {
      const retryable = status >= 500 || status === 429;
      throw new ImageFailure("IMAGE_SOURCE_STATUS", `${address} answered ${status}`, { retryable });
    }
    const { login } = image.options;
    if (login && !(source.type === "container" && isLoggedIn(source, login)))
      throw new ImageFailure(
        "IMAGE_SOURCE_STATUS",
        `${address} answered 401: check the credentials`,
      );
    await this.#takeTime(image, signal, report);
    if (source.type === "http")
      checkDigests(source.checksum, (algorithm) => digestOf(address, image.options, algorithm));
    return image;
  }

  async #takeTime(
    { sizeBytes, bytesPerSecond }: ServedImage,
    signal: AbortSignal | undefined,
    report: Report,
  ): Promise<void> {
    for (let received = 0; received < sizeBytes;) {
      const bytes = Math.min(sizeBytes - received, (bytesPerSecond * PROGRESS_STEP) / 1000);
      await pause(this.#clock, Math.ceil((1000 * bytes) / bytesPerSecond), signal);
      received += bytes;
      report?.({ receivedBytes: received, totalBytes: sizeBytes, bytesPerSecond });
    }
  }

  async #takeUpload(
    source: UploadImageSource,
    signal: AbortSignal | undefined,
    report: Report,
  ): Promise<{ readonly info: ImageInfo; readonly content: Content }> {
    const chunks: Uint8Array[] = [];
    let receivedBytes = 0;
    const { sizeBytes: totalBytes } = source;
    for await (const chunk of source.content) {
      signal?.throwIfAborted();
      chunks.push(Uint8Array.from(chunk));
      receivedBytes += chunk.length;
      report?.({
        receivedBytes,
        ...(totalBytes !== undefined && { totalBytes }),
        bytesPerSecond: 0,
      });
    }
    signal?.throwIfAborted();
    if (totalBytes !== undefined && receivedBytes !== totalBytes) {
      const message = `the upload ended after ${receivedBytes} of ${totalBytes} bytes`;
      throw new ImageFailure("IMAGE_SOURCE_TRUNCATED", message);
    }
    const file = Buffer.concat(chunks);
    checkDigests(source.checksum, (algorithm) => createHash(algorithm).update(file).digest("hex"));
    return uploadedImage(file);
  }

  async #copyDisk(
    source: DiskImageSource,
    signal: AbortSignal | undefined,
    report: Report,
  ): Promise<{ readonly info: ImageInfo; readonly content: Content }> {
    await using stream = await source.open(signal ?? new AbortController().signal);
    const totalBytes = stream.sizeBytes;
    const content =
      stream instanceof ContentStream
        ? stream.content
        : await readContent(stream, signal, (receivedBytes) =>
            report?.({ receivedBytes, totalBytes, bytesPerSecond: 0 }),
          );
    const sha256 = createHash("sha256").update(source.id).digest("hex");
    const info: ImageInfo = {
      format: "raw",
      cdrom: false,
      virtualSizeBytes: content.sizeBytes,
      storedBytes: content.weightBytes,
      sha256,
    };
    return { info, content };
  }

  #call<T>(verb: Verb, signal: AbortSignal | undefined, act: () => T | Promise<T>): Promise<T> {
    return this.#wire.call(
      { verb, to: "images", described: "the image store", latency: LATENCY, signal },
      act,
    );
  }
}

/** What tells the content of a source from others. */
function keyOf(source: ImageSource): string {
  switch (source.type) {
    case "http":
      return `http ${source.url}`;
    case "container":
      return `container ${source.image}`;
    case "upload":
    case "disk":
      return `${source.type} ${source.id}`;
  }
}

function checkDigests(
  wanted: ImageChecksum | undefined,
  actual: (algorithm: keyof ImageChecksum) => string,
): void {
  for (const [algorithm, digest] of Object.entries(wanted ?? {})) {
    const found = actual(algorithm as keyof ImageChecksum);
    if (found === digest.toLowerCase()) continue;
    const message = `the image has the ${algorithm} ${found}, and ${digest} was expected`;
    throw new ImageFailure("IMAGE_CHECKSUM_MISMATCH", message);
  }
}
