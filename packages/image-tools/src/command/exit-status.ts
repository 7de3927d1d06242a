import { isImageError } from "../image-error.ts";
import type { ImageErrorCode } from "../image-error-codes.ts";

/** Exit statuses of the command. */
export const EXIT_STATUS = {
  well: 0,
  unexpected: 1,
  usage: 2,
  unsafe: 3,
  corrupt: 4,
  limit: 5,
  inputOutput: 6,
  interrupted: 130,
} as const;

const { usage, unsafe, corrupt, limit, inputOutput } = EXIT_STATUS;

const STATUS_OF_CODE: Readonly<Record<ImageErrorCode, number>> = {
  IMAGE_SOURCE_UNREACHABLE: inputOutput,
  IMAGE_SOURCE_UNAVAILABLE: inputOutput,
  IMAGE_SOURCE_STATUS: inputOutput,
  IMAGE_SOURCE_STALLED: inputOutput,
  IMAGE_SOURCE_TRUNCATED: inputOutput,
  IMAGE_SOURCE_CHANGED: inputOutput,
  IMAGE_SOURCE_NO_RANGES: inputOutput,
  IMAGE_SOURCE_INVALID: inputOutput,
  IMAGE_SOURCE_UNTRUSTED: inputOutput,
  IMAGE_TOO_MANY_REDIRECTS: inputOutput,
  IMAGE_UNSAFE_REDIRECT: unsafe,
  IMAGE_FORBIDDEN_ADDRESS: unsafe,
  IMAGE_CHECKSUM_MISMATCH: corrupt,
  IMAGE_UNRECOGNISED: unsafe,
  IMAGE_NOT_STREAMABLE: inputOutput,
  IMAGE_FORMAT_MISMATCH: unsafe,
  IMAGE_CORRUPT: corrupt,
  IMAGE_TRUNCATED: corrupt,
  IMAGE_UNSAFE: unsafe,
  IMAGE_UNSUPPORTED: unsafe,
  IMAGE_TOO_LARGE: limit,
  IMAGE_NOT_FOUND: inputOutput,
  IMAGE_CONFLICT: inputOutput,
  IMAGE_INVALID_ARGUMENT: usage,
  IMAGE_IO: inputOutput,
};

/** The exit status for a code of `ImageError`. */
export function statusOfCode(code: ImageErrorCode): number {
  return STATUS_OF_CODE[code];
}

/** The exit status for whatever was thrown. */
export function statusOfError(error: unknown): number {
  return isImageError(error) ? statusOfCode(error.code) : EXIT_STATUS.unexpected;
}
