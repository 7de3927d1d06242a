/**
 * Every code that an {@link ImageError} can carry, what it means, and whether trying the same call
 * again can help. Codes are stable; messages are not.
 */
export const IMAGE_ERROR_CODES = {
  IMAGE_SOURCE_UNREACHABLE: {
    retryable: true,
    description: "The server could not be reached or broke the connection before it answered.",
  },
  IMAGE_SOURCE_UNAVAILABLE: {
    retryable: true,
    description: "The server answered with a passing failure: HTTP 408, 425, 429 or 5xx.",
  },
  IMAGE_SOURCE_STATUS: {
    retryable: false,
    description: "The server refused the request, such as HTTP 401, 403, 404 or 410.",
  },
  IMAGE_SOURCE_STALLED: {
    retryable: true,
    description: "The server sent nothing for longer than the stall timeout.",
  },
  IMAGE_SOURCE_TRUNCATED: {
    retryable: true,
    description: "The connection ended before the whole body had arrived and could not be resumed.",
  },
  IMAGE_SOURCE_UNTRUSTED: {
    retryable: false,
    description: "The TLS certificate of the server could not be verified.",
  },
  IMAGE_SOURCE_CHANGED: {
    retryable: true,
    description: "The file on the server changed while it was being read.",
  },
  IMAGE_SOURCE_NO_RANGES: {
    retryable: false,
    description: "The server does not serve parts of the file, so it can only be read in order.",
  },
  IMAGE_SOURCE_INVALID: {
    retryable: false,
    description:
      "The source contradicts itself, for example by sending more bytes than it announced.",
  },
  IMAGE_TOO_MANY_REDIRECTS: {
    retryable: false,
    description: "The server redirected more often than allowed.",
  },
  IMAGE_UNSAFE_REDIRECT: {
    retryable: false,
    description: "A redirect leads from https to http, or to something that is not HTTP at all.",
  },
  IMAGE_FORBIDDEN_ADDRESS: {
    retryable: false,
    description: "The source leads to an address that is not on the public Internet.",
  },
  IMAGE_CHECKSUM_MISMATCH: {
    retryable: false,
    description: "The bytes as served do not have the expected checksum.",
  },
  IMAGE_UNRECOGNISED: {
    retryable: false,
    description: "The bytes are not a disk image, for example an HTML page or text.",
  },
  IMAGE_CORRUPT: {
    retryable: false,
    description: "The image contradicts its own format.",
  },
  IMAGE_TRUNCATED: {
    retryable: false,
    description: "The image refers to bytes beyond its own end: it was cut short.",
  },
  IMAGE_UNSAFE: {
    retryable: false,
    description:
      "The image reaches outside itself (backing file, data file), is encrypted, or is built to deceive or to exhaust its reader.",
  },
  IMAGE_UNSUPPORTED: {
    retryable: false,
    description: "The format is recognised, but cannot be read.",
  },
  IMAGE_NOT_STREAMABLE: {
    retryable: false,
    description:
      "The image comes as a stream, but is laid out so that it cannot be read from front to back.",
  },
  IMAGE_FORMAT_MISMATCH: {
    retryable: false,
    description: "The image is not of the format that the caller expects.",
  },
  IMAGE_TOO_LARGE: {
    retryable: false,
    description: "The image exceeds a configured limit of size, memory or compression ratio.",
  },
  IMAGE_NOT_FOUND: {
    retryable: false,
    description: "There is no image, member or file of this name.",
  },
  IMAGE_CONFLICT: {
    retryable: false,
    description: "The store already has an image of this name that came from another source.",
  },
  IMAGE_INVALID_ARGUMENT: {
    retryable: false,
    description: "A name, URL, checksum, certificate or other argument is malformed.",
  },
  IMAGE_IO: {
    retryable: true,
    description: "Reading or writing local storage failed, for example because it is full.",
  },
} as const;

/** A key of {@link IMAGE_ERROR_CODES}. */
export type ImageErrorCode = keyof typeof IMAGE_ERROR_CODES;
