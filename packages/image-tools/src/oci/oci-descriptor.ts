import { createHash } from "node:crypto";
import { ImageError } from "../image-error.ts";

/** Refers to a document or blob by its content. @see OCI Image Format Specification 1.1, "Descriptors" */
export interface OciDescriptor {
  readonly mediaType: string;
  /** `sha256:` or `sha512:` and lower-case hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** Gives the bytes that a descriptor refers to, not yet verified. Ending it early ends its source. */
export interface OciBlobStore {
  open(descriptor: OciDescriptor): AsyncIterable<Uint8Array>;
}

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** Whether `digest` is one that can be verified. */
export function isDigest(digest: string): boolean {
  return DIGEST.test(digest);
}

/** The digest of bytes, by the algorithm of another digest. */
export function digestLike(digest: string, bytes: Uint8Array): string {
  const [algorithm = ""] = digest.split(":");
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/**
 * Passes a blob on and verifies its size and digest.
 *
 * @throws ImageError `IMAGE_CHECKSUM_MISMATCH` at the end; `IMAGE_SOURCE_INVALID` as soon as it is
 * longer than described; `IMAGE_SOURCE_TRUNCATED` when it is shorter.
 */
export async function* verifiedBlob(
  store: OciBlobStore,
  descriptor: OciDescriptor,
): AsyncGenerator<Uint8Array, void, void> {
  const { digest, sizeBytes } = descriptor;
  const [algorithm = ""] = digest.split(":");
  const hash = createHash(algorithm);
  let received = 0;
  for await (const chunk of store.open(descriptor)) {
    received += chunk.length;
    if (received > sizeBytes) {
      throw new ImageError(
        "IMAGE_SOURCE_INVALID",
        `blob ${digest} is longer than its manifest says`,
      );
    }
    hash.update(chunk);
    yield chunk;
  }
  if (received < sizeBytes) {
    throw new ImageError(
      "IMAGE_SOURCE_TRUNCATED",
      `blob ${digest} is shorter than its manifest says`,
    );
  }
  requireDigest(`blob ${digest}`, digest, `${algorithm}:${hash.digest("hex")}`);
}

/** @throws ImageError `IMAGE_CHECKSUM_MISMATCH`. */
export function requireDigest(subject: string, expected: string, actual: string): void {
  if (actual === expected) return;
  throw new ImageError("IMAGE_CHECKSUM_MISMATCH", `${subject} has the digest ${actual}`);
}

/**
 * Reads a JSON document of a container image and verifies it.
 *
 * @throws ImageError as {@link verifiedBlob}; `IMAGE_TOO_LARGE` over 4 MiB.
 */
export async function readDocument(
  store: OciBlobStore,
  descriptor: OciDescriptor,
): Promise<Buffer> {
  if (descriptor.sizeBytes > MAX_DOCUMENT_BYTES) throw documentTooLarge();
  const chunks: Uint8Array[] = [];
  for await (const chunk of verifiedBlob(store, descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Reads a stream that must be a document of unknown length.
 *
 * @throws ImageError `IMAGE_TOO_LARGE` over 4 MiB.
 */
export async function collectDocument(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) throw documentTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function documentTooLarge(): ImageError {
  return new ImageError(
    "IMAGE_TOO_LARGE",
    "a manifest of the container image is longer than 4 MiB",
  );
}
