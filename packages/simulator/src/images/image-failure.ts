/** What an import fails with, in the words of an image store. */
export class ImageFailure extends Error {
  readonly code: string;
  /** True when the same import can succeed later. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { readonly retryable?: boolean } = {}) {
    super(message);
    this.name = "ImageFailure";
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
