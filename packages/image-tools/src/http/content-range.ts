import { ImageError } from "../image-error.ts";
import { parseLength } from "./http-resume.ts";
import { redactUrl } from "./redact-url.ts";
import { firstValue, type HttpResponse } from "./send-request.ts";

/** What a `Content-Range` header says. */
export interface ContentRange {
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
  readonly totalBytes: number;
}

/**
 * Reads the `Content-Range` of a 206 response.
 *
 * @throws ImageError `IMAGE_SOURCE_INVALID` when it is missing, impossible, of another unit, or
 * contradicted by `Content-Length`; `IMAGE_SOURCE_NO_RANGES` when the total length is not told.
 * @see RFC 9110, section 14.4
 */
export function parseContentRange(response: HttpResponse): ContentRange {
  const subject = redactUrl(response.url);
  const value = firstValue(response.headers["content-range"]) ?? "";
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(value);
  if (match === null) {
    throw new ImageError("IMAGE_SOURCE_INVALID", `${subject} sends a part without saying which`);
  }
  if (match[3] === "*") {
    throw new ImageError(
      "IMAGE_SOURCE_NO_RANGES",
      `${subject} does not tell how long the file is, so it can only be read in order`,
    );
  }
  const start = parseLength(match[1]);
  const last = parseLength(match[2]);
  const totalBytes = parseLength(match[3]);
  const isPossible =
    start !== undefined &&
    last !== undefined &&
    totalBytes !== undefined &&
    start <= last &&
    last < totalBytes;
  if (!isPossible) {
    throw new ImageError("IMAGE_SOURCE_INVALID", `${subject} sends an impossible part: ${value}`);
  }
  const length = firstValue(response.headers["content-length"]);
  if (length !== undefined && parseLength(length) !== last + 1 - start) {
    throw new ImageError(
      "IMAGE_SOURCE_INVALID",
      `${subject} contradicts itself about the length of what it sends`,
    );
  }
  return { start, end: last + 1, totalBytes };
}
