import { createHash, type Hash } from "node:crypto";
import { ImageError } from "../image-error.ts";
import type { ManifestEntry } from "../ova/ova-manifest.ts";
import { memberName } from "../tar/walk-tar.ts";

type Manifest = ReadonlyMap<string, readonly ManifestEntry[]>;

const ALGORITHMS = ["sha1", "sha256", "sha512"] as const;

/**
 * Takes the digests of the members of an OVA as they come past, with the algorithms of its manifest
 * or, as long as that has not come, with all that it may have.
 */
export class MemberDigests {
  readonly #digests = new Map<string, ReadonlyMap<string, string>>();
  #manifest: Manifest | undefined;

  /** Takes the manifest, which may come before or behind what it is about. */
  setManifest(manifest: Manifest): void {
    this.#manifest = new Map([...manifest].map(([name, entries]) => [memberName(name), entries]));
  }

  /** Passes the content of a member on and takes its digests. */
  async *take(
    name: string,
    content: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const listed = this.#manifest?.get(name)?.map(({ algorithm }) => algorithm) ?? [];
    const algorithms = this.#manifest === undefined ? ALGORITHMS : listed;
    const hashes = algorithms.map((algorithm): [string, Hash] => [
      algorithm,
      createHash(algorithm),
    ]);
    for await (const chunk of content) {
      for (const [, hash] of hashes) hash.update(chunk);
      yield chunk;
    }
    this.#digests.set(name, new Map(hashes.map(([key, hash]) => [key, hash.digest("hex")])));
  }

  /**
   * Compares everything with the manifest, if there is one.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`; `IMAGE_CORRUPT` when a member is missing.
   */
  verify(): void {
    for (const [name, entries] of this.#manifest ?? []) {
      const digests = this.#digests.get(name);
      if (digests === undefined) {
        throw new ImageError(
          "IMAGE_CORRUPT",
          `the manifest of the OVA names "${name}", which is missing`,
        );
      }
      for (const { algorithm, digest } of entries) {
        const actual = digests.get(algorithm);
        if (actual === digest) continue;
        throw new ImageError(
          "IMAGE_CHECKSUM_MISMATCH",
          `the ${algorithm} checksum of "${name}" is ${actual}, expected ${digest}`,
        );
      }
    }
  }
}
