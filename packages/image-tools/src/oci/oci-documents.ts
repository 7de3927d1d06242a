import { ImageError } from "../image-error.ts";
import { isDigest, type OciDescriptor } from "./oci-descriptor.ts";

const INDEXES = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const MANIFESTS = new Set([
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
]);
const MAX_LAYERS = 1000;

/** Value of `Accept` for manifests. */
export const MANIFEST_TYPES: string = [...MANIFESTS, ...INDEXES].join(", ");

/** A list of manifests, or the manifest of one image. */
export type OciDocument =
  | { readonly kind: "index"; readonly manifests: readonly OciDescriptor[] }
  | {
      readonly kind: "manifest";
      readonly config: OciDescriptor;
      readonly layers: readonly OciDescriptor[];
    };

/**
 * Reads a manifest or an index. What it is, is told by its content: media types of servers lie.
 *
 * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_UNSUPPORTED` for other and for older kinds.
 */
export function parseOciDocument(bytes: Buffer): OciDocument {
  const document = parseObject(bytes, "the manifest");
  const { schemaVersion, mediaType } = document as { schemaVersion?: unknown; mediaType?: unknown };
  if (schemaVersion !== 2) {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      "the manifest of the container image has an old schema; push the image again",
    );
  }
  const isIndex = "manifests" in document && !("layers" in document);
  const isManifest = "layers" in document && "config" in document && !("manifests" in document);
  const known = isIndex ? INDEXES : MANIFESTS;
  if (isIndex === isManifest || (mediaType !== undefined && !known.has(mediaType as string))) {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      "the container registry gives something that is neither a manifest nor an index",
    );
  }
  if (isIndex) return { kind: "index", manifests: descriptors(document, "manifests") };
  return {
    kind: "manifest",
    config: parseDescriptor((document as { config?: unknown }).config),
    layers: descriptors(document, "layers"),
  };
}

/**
 * The digests of the uncompressed layers, from the configuration of an image.
 *
 * @throws ImageError `IMAGE_CORRUPT`.
 * @see OCI Image Format Specification 1.1, "Image Configuration", rootfs
 */
export function parseDiffIds(bytes: Buffer, layers: number): readonly string[] {
  const { rootfs } = parseObject(bytes, "the configuration") as {
    rootfs?: { diff_ids?: unknown } | null;
  };
  const ids = rootfs?.diff_ids;
  const isValid =
    Array.isArray(ids) &&
    ids.length === layers &&
    ids.every((id) => typeof id === "string" && isDigest(id));
  if (!isValid) throw corrupt("its configuration does not name its layers");
  return ids as string[];
}

/** A descriptor, as it stands in a document. @throws ImageError `IMAGE_CORRUPT`. */
function parseDescriptor(value: unknown): OciDescriptor {
  const { mediaType, digest, size, platform } = (value ?? {}) as Record<string, unknown> as {
    mediaType?: unknown;
    digest?: unknown;
    size?: unknown;
    platform?: { os?: unknown; architecture?: unknown } | null;
  };
  if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest)) {
    throw corrupt("a descriptor has no valid digest");
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    throw corrupt("a descriptor has no valid size");
  }
  const os = platform?.os;
  const architecture = platform?.architecture;
  return {
    mediaType,
    digest,
    sizeBytes: size as number,
    ...(typeof os === "string" && typeof architecture === "string"
      ? { platform: { os, architecture } }
      : {}),
  };
}

function descriptors(document: object, key: "manifests" | "layers"): readonly OciDescriptor[] {
  const list = (document as Record<string, unknown>)[key];
  if (!Array.isArray(list) || list.length > MAX_LAYERS) throw corrupt(`its ${key} are no list`);
  return list.map(parseDescriptor);
}

function parseObject(bytes: Buffer, subject: string): object {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new ImageError("IMAGE_CORRUPT", `${subject} of the container image is not JSON`, {
      cause,
    });
  }
  if (typeof value !== "object" || value === null) throw corrupt(`${subject} is no object`);
  return value;
}

function corrupt(reason: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the container image is corrupt: ${reason}`);
}
