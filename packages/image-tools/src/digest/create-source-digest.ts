import type { ChecksumAlgorithm, Checksums } from "../http/checksum.ts";
import type { SourceDigest } from "./source-digest.ts";

/** What digests {@link createSourceDigest} is asked for. */
export interface SourceDigestOptions {
  readonly digests?: { readonly source?: readonly ChecksumAlgorithm[] | undefined } | undefined;
  readonly checksum?: Checksums | undefined;
}

/**
 * What takes the digests that a conversion is asked for, `undefined` where there are none.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` for an unknown algorithm or a malformed checksum.
 */
export async function createSourceDigest(
  options: SourceDigestOptions,
): Promise<SourceDigest | undefined> {
  const { digests: { source = [] } = {}, checksum = {} } = options;
  if (source.length === 0 && Object.keys(checksum).length === 0) return undefined;
  const { SourceDigest: Digest } = await import("./source-digest.ts");
  return new Digest(source, checksum);
}
