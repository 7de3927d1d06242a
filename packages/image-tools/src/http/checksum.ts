import type { Hash } from "node:crypto";
import { ImageError } from "../image-error.ts";
import { nodeCrypto } from "../lazy-builtins.ts";

/** Algorithms that a source's checksum may use. */
export type ChecksumAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/** Expected checksums in hexadecimal, of the bytes exactly as the server sends them. */
export type Checksums = Readonly<Partial<Record<ChecksumAlgorithm, string>>>;

const HEX_LENGTH: Readonly<Record<ChecksumAlgorithm, number>> = {
  md5: 32,
  sha1: 40,
  sha256: 64,
  sha512: 128,
};

/** Verifies several checksums of one stream at once. */
export interface ChecksumVerifier {
  update(bytes: Uint8Array): void;
  /**
   * @param subject - Names the stream in the message.
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`.
   */
  verify(subject: string): void;
}

/**
 * Checks and lower-cases the expected checksums.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` for an unknown algorithm or a malformed value.
 */
export function normaliseChecksums(checksums: Checksums): Checksums {
  const result: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const [algorithm, value] of Object.entries(checksums)) {
    if (value === undefined) continue;
    if (!isAlgorithm(algorithm)) {
      throw new ImageError("IMAGE_INVALID_ARGUMENT", `unknown checksum algorithm "${algorithm}"`);
    }
    if (value.length !== HEX_LENGTH[algorithm] || !/^[0-9a-f]+$/i.test(value)) {
      throw new ImageError(
        "IMAGE_INVALID_ARGUMENT",
        `a ${algorithm} checksum has ${HEX_LENGTH[algorithm]} hexadecimal digits`,
      );
    }
    result[algorithm] = value.toLowerCase();
  }
  return result;
}

/** A verifier of normalised checksums. */
export function checksumVerifier(checksums: Checksums): ChecksumVerifier {
  const hashes: (readonly [algorithm: string, expected: string, hash: Hash])[] = Object.entries(
    checksums,
  ).map(([algorithm, expected]) => [algorithm, expected, nodeCrypto().createHash(algorithm)]);
  return {
    update: (bytes) => {
      for (const [, , hash] of hashes) hash.update(bytes);
    },
    verify: (subject) => {
      for (const [algorithm, expected, hash] of hashes) {
        const actual = hash.digest("hex");
        if (actual === expected) continue;
        throw new ImageError(
          "IMAGE_CHECKSUM_MISMATCH",
          `the ${algorithm} checksum of ${subject} is ${actual}, expected ${expected}`,
        );
      }
    },
  };
}

function isAlgorithm(name: string): name is ChecksumAlgorithm {
  return Object.hasOwn(HEX_LENGTH, name);
}
