import type { ImageWrapper } from "../detect/detector.ts";

/** Removes one kind of compression from a stream. */
export interface StreamDecoder {
  readonly wrapper: ImageWrapper;
  /**
   * Decodes `source` as it is read; its errors pass through unchanged. Ending the iteration early
   * ends that of the source.
   *
   * @throws ImageError `IMAGE_CORRUPT`, `IMAGE_TRUNCATED`, `IMAGE_TOO_LARGE` (memory limit) or
   * `IMAGE_UNSUPPORTED`.
   */
  decode(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}
