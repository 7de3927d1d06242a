import { createHash } from "node:crypto";
import { pipeline, Readable } from "node:stream";
import { countBytes, limitExpansion, type ByteCounter } from "../decode/limit-expansion.ts";
import { streamDecoder } from "../decode/stream-decoders.ts";
import { ImageError, isImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import {
  requireDigest,
  verifiedBlob,
  type OciBlobStore,
  type OciDescriptor,
} from "./oci-descriptor.ts";

/** A layer and the digest of its uncompressed bytes. */
export interface OciLayer {
  readonly descriptor: OciDescriptor;
  readonly diffId: string;
}

/** An entry of a layer. Its content is read once, or not at all. */
export interface LayerEntry {
  readonly name: string;
  /** As tar-stream names it; `undefined` for unknown kinds, such as sparse files of GNU tar. */
  readonly type: string | undefined;
  readonly sizeBytes: number;
  /** Keywords of the extended header. */
  readonly paxKeywords: readonly string[];
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * Streams the entries of a layer, from the first to the last; size and both digests are verified
 * when the last one has passed. Each entry must be read wholly before the next one.
 *
 * @throws ImageError as `verifiedBlob` and decoding do; `IMAGE_CORRUPT` for a broken archive,
 * `IMAGE_UNSUPPORTED` for a layer of another kind.
 */
export async function* layerEntries(
  store: OciBlobStore,
  layer: OciLayer,
  limits: Required<ImageLimits>,
): AsyncGenerator<LayerEntry, void, void> {
  const { extract } = await import("tar-stream");
  const archive = extract();
  let failure: unknown;
  const bytes = uncompressedLayer(store, layer, limits);
  async function* watched(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* bytes;
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  const finished = new Promise<void>((resolve) => {
    // The failure reaches the reader of the archive, which pipeline destroys with it.
    pipeline(Readable.from(watched()), archive, () => resolve());
  });
  const translate = (error: unknown): unknown =>
    failure ?? (isImageError(error) ? error : brokenLayer(layer, error));
  async function* content(
    entry: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* entry;
    } catch (error) {
      throw translate(error);
    }
  }
  try {
    for await (const entry of archive) {
      const { name, type, size, pax } = entry.header;
      yield {
        name,
        // The declarations leave out that unknown kinds have none.
        type: (type as string | null) ?? undefined,
        sizeBytes: size,
        paxKeywords: Object.keys((pax ?? {}) as object),
        content: content(entry as AsyncIterable<Uint8Array>),
      };
    }
  } catch (error) {
    throw translate(error);
  } finally {
    archive.destroy();
    await finished;
  }
}

/** The error for a layer that is no archive. */
export function brokenLayer({ descriptor }: OciLayer, cause: unknown): ImageError {
  const message = `layer ${descriptor.digest} of the container image is not a complete tar archive`;
  return new ImageError("IMAGE_CORRUPT", message, { cause });
}

async function* uncompressedLayer(
  store: OciBlobStore,
  { descriptor, diffId }: OciLayer,
  { maxDecompressionRatio, maxStoredBytes }: Required<ImageLimits>,
): AsyncGenerator<Uint8Array, void, void> {
  const wrapper = layerWrapper(descriptor.mediaType);
  const counter: ByteCounter = { bytes: 0 };
  const blob = countBytes(verifiedBlob(store, descriptor), counter);
  const decoded = wrapper === undefined ? blob : streamDecoder(wrapper).decode(blob);
  const [algorithm = ""] = diffId.split(":");
  const hash = createHash(algorithm);
  let bytes = 0;
  for await (const chunk of limitExpansion(decoded, counter, maxDecompressionRatio)) {
    bytes += chunk.length;
    if (bytes > maxStoredBytes) {
      throw new ImageError("IMAGE_TOO_LARGE", `a layer has more than ${maxStoredBytes} bytes`);
    }
    hash.update(chunk);
    yield chunk;
  }
  const actual = `${algorithm}:${hash.digest("hex")}`;
  requireDigest(`the content of layer ${descriptor.digest}`, diffId, actual);
}

function layerWrapper(mediaType: string): "gz" | "zst" | undefined {
  const kind =
    /^application\/vnd\.(?:oci\.image\.layer\.v1\.|docker\.image\.rootfs\.diff\.)tar(?:[+.](gzip|zstd))?$/.exec(
      mediaType,
    );
  if (kind === null) {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      `the container image has a layer of the unknown type ${JSON.stringify(mediaType)}`,
    );
  }
  if (kind[1] === "gzip") return "gz";
  return kind[1] === "zstd" ? "zst" : undefined;
}
