import { firstValue, type HttpResponse } from "./send-request.ts";

/** What proves that a later response continues the same body. */
export interface ResumeValidator {
  /** Value for `If-Range`. */
  readonly ifRange: string;
  readonly etag: string | undefined;
}

/**
 * The validator of a response that can be continued: the server serves byte ranges and names a
 * strong entity tag or a modification date.
 *
 * @see RFC 9110, sections 13.1.5 and 14.3
 */
export function validatorOf(response: HttpResponse): ResumeValidator | undefined {
  if (firstValue(response.headers["accept-ranges"])?.toLowerCase() !== "bytes") return undefined;
  const etag = firstValue(response.headers["etag"]);
  const isStrong = etag !== undefined && etag.startsWith('"');
  const ifRange = isStrong ? etag : firstValue(response.headers["last-modified"]);
  return ifRange === undefined ? undefined : { ifRange, etag: isStrong ? etag : undefined };
}

/** Whether `response` is the rest, from `offset` on, of a body that had `totalBytes`. */
export function continuesAt(
  response: HttpResponse,
  offset: number,
  totalBytes: number | undefined,
  validator: ResumeValidator,
): boolean {
  if (response.status !== 206) return false;
  const range = firstValue(response.headers["content-range"]);
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range ?? "");
  if (match === null || Number(match[1]) !== offset) return false;
  if (totalBytes !== undefined) {
    if (Number(match[2]) !== totalBytes - 1) return false;
    if (match[3] !== "*" && Number(match[3]) !== totalBytes) return false;
  }
  const etag = firstValue(response.headers["etag"]);
  return validator.etag === undefined || etag === undefined || etag === validator.etag;
}

/** A decimal byte count from a header. */
export function parseLength(value: string | undefined): number | undefined {
  if (value === undefined || !/^\d+$/.test(value)) return undefined;
  const length = Number(value);
  return Number.isSafeInteger(length) ? length : undefined;
}
