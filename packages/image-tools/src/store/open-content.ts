import { checksumVerifier, normaliseChecksums } from "../http/checksum.ts";
import { ProgressMeter } from "../http/progress-meter.ts";
import type { ImageLimits } from "../image-limits.ts";
import { fromStream, type ForwardSource } from "../source/forward-source.ts";
import type {
  ContainerImageSource,
  HttpImageSource,
  ImageImportProgress,
  UploadImageSource,
} from "./image-store.ts";

/** How {@link openContent} opens. */
export interface OpenContentOptions {
  readonly limits: Required<ImageLimits>;
  readonly stallTimeoutMs: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ImageImportProgress) => void) | undefined;
}

/** The bytes of a file as they are served or sent; its checksums are verified at its end. */
export type OpenedContent = AsyncIterable<Uint8Array> & AsyncDisposable;

/**
 * Opens the file that a source stands for.
 *
 * @throws ImageError as `openHttpSource`, `openOciImage` and `fromStream` do.
 */
export async function openContent(
  source: HttpImageSource | ContainerImageSource | UploadImageSource,
  options: OpenContentOptions,
): Promise<OpenedContent> {
  const { limits, signal, stallTimeoutMs, onProgress } = options;
  switch (source.type) {
    case "container": {
      const { openOciImage } = await import("../oci/open-oci-image.ts");
      const disk = await openOciImage(source.image, {
        pullSecret: source.dockerConfig,
        caBundle: source.caBundle,
        signal,
        limits,
        stallTimeoutMs,
      });
      return measured(disk, onProgress);
    }
    case "upload": {
      const { content, sizeBytes, checksum = {} } = source;
      const sent = fromStream(content, {
        ...(sizeBytes !== undefined && { sizeBytes }),
        maxBytes: limits.maxStoredBytes,
        name: "the upload",
        signal,
      });
      return verified(measured(sent, onProgress), checksum);
    }
    case "http": {
      const { openHttpSource } = await import("../http/open-http-source.ts");
      return openHttpSource(source.url, {
        checksum: source.checksum,
        caBundle: source.caBundle,
        signal,
        stallTimeoutMs,
        maxBytes: limits.maxStoredBytes,
        onProgress,
      });
    }
  }
}

function measured(
  source: ForwardSource,
  onProgress: OpenContentOptions["onProgress"],
): OpenedContent {
  if (onProgress === undefined) return source;
  const meter = new ProgressMeter(source.sizeBytes, onProgress);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const bytes of source) {
        meter.add(bytes.length);
        yield bytes;
      }
      meter.finish();
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function verified(
  source: OpenedContent,
  checksum: NonNullable<UploadImageSource["checksum"]>,
): OpenedContent {
  const verifier = checksumVerifier(normaliseChecksums(checksum));
  return {
    async *[Symbol.asyncIterator]() {
      for await (const bytes of source) {
        verifier.update(bytes);
        yield bytes;
      }
      verifier.verify("the upload");
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}
