import { IMAGE_ERROR_CODES, type ImageErrorCode } from "./image-error-codes.ts";

const brand = Symbol.for("@polyvisor/image-tools/ImageError");

/**
 * The only error class that this package throws on purpose. An aborted call rejects with the
 * `reason` of its signal instead.
 */
export class ImageError extends Error {
  override readonly name = "ImageError";
  /** Stable identifier; see {@link IMAGE_ERROR_CODES}. */
  readonly code: ImageErrorCode;
  /** Whether the same call may succeed later; fixed by the code. */
  readonly retryable: boolean;

  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = IMAGE_ERROR_CODES[code].retryable;
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * Whether `error` is an {@link ImageError}, and, when `code` is given, of that code. Works across
 * several copies of this package in one process, where `instanceof` does not.
 */
export function isImageError(error: unknown, code?: ImageErrorCode): error is ImageError {
  return (
    typeof error === "object" &&
    error !== null &&
    (error as { readonly [key: symbol]: unknown })[brand] === true &&
    (code === undefined || (error as ImageError).code === code)
  );
}
