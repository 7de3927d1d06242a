import { ImageError } from "../image-error.ts";

const MAX_MANIFEST_BYTES = 1024 * 1024;
const DIGEST_LENGTHS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64, sha512: 128 };

/** The digest of one file of a package. */
export interface ManifestEntry {
  readonly algorithm: "sha1" | "sha256" | "sha512";
  /** Lower-case hexadecimal. */
  readonly digest: string;
}

/**
 * Reads the manifest of a package: lines of `SHA256(name)= digest`, by file name.
 *
 * @throws ImageError `IMAGE_CORRUPT` for anything else than such lines, `IMAGE_UNSAFE` when one
 * file has two different digests of the same kind, `IMAGE_TOO_LARGE` over 1 MiB.
 * @see DSP0243, clause 5.1
 */
export function parseManifest(bytes: Buffer): ReadonlyMap<string, readonly ManifestEntry[]> {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new ImageError("IMAGE_TOO_LARGE", "the manifest of the OVA is longer than 1 MiB");
  }
  const entries = new Map<string, ManifestEntry[]>();
  for (const line of bytes.toString("utf8").split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [, kind = "", name = "", hex = ""] =
      /^\s*SHA-?(1|256|512)\s*\((.+)\)\s*=\s*([0-9a-f]+)\s*$/i.exec(line) ?? [];
    const algorithm = `sha${kind}` as ManifestEntry["algorithm"];
    if (hex.length === 0 || DIGEST_LENGTHS[algorithm] !== hex.length) {
      throw new ImageError("IMAGE_CORRUPT", "the manifest of the OVA has a malformed line");
    }
    const digest = hex.toLowerCase();
    const known = entries.get(name) ?? [];
    if (known.some((entry) => entry.algorithm === algorithm && entry.digest !== digest)) {
      throw new ImageError("IMAGE_UNSAFE", `the manifest of the OVA names "${name}" twice`);
    }
    entries.set(name, [...known, { algorithm, digest }]);
  }
  return entries;
}
