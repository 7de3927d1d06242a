import { createHash, type Hash } from "node:crypto";
import { normaliseChecksums, type ChecksumAlgorithm, type Checksums } from "../http/checksum.ts";
import { ImageError } from "../image-error.ts";

/** Takes several digests of a source as it is, from front to back. */
export class SourceDigest {
  readonly #hashes: readonly (readonly [ChecksumAlgorithm, Hash])[];
  readonly #expected: Checksums;

  /** @throws ImageError `IMAGE_INVALID_ARGUMENT` for a malformed checksum. */
  constructor(algorithms: readonly ChecksumAlgorithm[], expected: Checksums) {
    this.#expected = normaliseChecksums(expected);
    const all = new Set([...algorithms, ...(Object.keys(this.#expected) as ChecksumAlgorithm[])]);
    this.#hashes = [...all].map((algorithm) => [algorithm, hashOf(algorithm)]);
  }

  update(bytes: Uint8Array): void {
    for (const [, hash] of this.#hashes) hash.update(bytes);
  }

  /**
   * The digests, in hexadecimal. Can be called once.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH` when one is not as expected.
   */
  finish(): Checksums {
    const digests: Partial<Record<ChecksumAlgorithm, string>> = {};
    for (const [algorithm, hash] of this.#hashes) {
      const digest = hash.digest("hex");
      const expected = this.#expected[algorithm];
      if (expected !== undefined && expected !== digest) {
        throw new ImageError(
          "IMAGE_CHECKSUM_MISMATCH",
          `the ${algorithm} checksum of the source is ${digest}, expected ${expected}`,
        );
      }
      digests[algorithm] = digest;
    }
    return digests;
  }
}

function hashOf(algorithm: ChecksumAlgorithm): Hash {
  try {
    return createHash(algorithm);
  } catch (cause) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", `there is no digest "${algorithm}"`, { cause });
  }
}
