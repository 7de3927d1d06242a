import { ImageError } from "../image-error.ts";
import type { ContentRange } from "./content-range.ts";
import { redactUrl } from "./redact-url.ts";
import { firstValue, type HttpResponse } from "./send-request.ts";

/** What tells one version of a file on a server from another. */
export interface RemoteFile {
  readonly sizeBytes: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** The version that a response belongs to. */
export function remoteFileOf(response: HttpResponse, sizeBytes: number): RemoteFile {
  return {
    sizeBytes,
    etag: firstValue(response.headers["etag"]),
    lastModified: firstValue(response.headers["last-modified"]),
  };
}

/**
 * The condition under which a part is wanted. A weak entity tag cannot be one, because it does not
 * promise equal bytes.
 *
 * @see RFC 9110, section 13.1.5
 */
export function conditionFor(file: RemoteFile): Readonly<Record<string, string>> {
  const validator = file.etag?.startsWith('"') === true ? file.etag : file.lastModified;
  return validator === undefined ? {} : { "if-range": validator };
}

/**
 * Checks that a part belongs to `file`.
 *
 * @throws ImageError `IMAGE_SOURCE_CHANGED`.
 */
export function requireSameFile(
  file: RemoteFile,
  response: HttpResponse,
  range: ContentRange,
): void {
  const now = remoteFileOf(response, range.totalBytes);
  const isSame =
    now.sizeBytes === file.sizeBytes &&
    equalIfKnown(now.etag, file.etag) &&
    equalIfKnown(now.lastModified, file.lastModified);
  if (!isSame) throw changedError(response);
}

/** The error for a file that is another one than before. */
export function changedError(response: HttpResponse): ImageError {
  return new ImageError(
    "IMAGE_SOURCE_CHANGED",
    `${redactUrl(response.url)} changed while it was being read; start again`,
  );
}

function equalIfKnown(now: string | undefined, before: string | undefined): boolean {
  return now === undefined || before === undefined || now === before;
}
