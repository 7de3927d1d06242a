import { ImageError } from "../image-error.ts";
import { checksumVerifier, normaliseChecksums, type Checksums } from "./checksum.ts";
import { createHttpDispatcher } from "./http-dispatcher.ts";
import { parseLength, validatorOf } from "./http-resume.ts";
import { HttpSourceBody } from "./http-source-body.ts";
import type { DownloadProgress } from "./progress-meter.ts";
import { parseHttpUrl } from "./parse-http-url.ts";
import { redactUrl } from "./redact-url.ts";
import { firstValue, sendRequest, type RequestSettings } from "./send-request.ts";

/** Options of {@link openHttpSource}. */
export interface HttpSourceOptions {
  /** Verified over the bytes as served; reading fails at the end when one does not match. */
  readonly checksum?: Checksums | undefined;
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string | undefined;
  /** Ends opening and reading with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Longest silence of the server in milliseconds, in each phase. Default: 30 000. */
  readonly stallTimeoutMs?: number | undefined;
  /**
   * Refuses hosts without a public address with `IMAGE_FORBIDDEN_ADDRESS`. A public host can never
   * redirect to another one that is not public. Default: false.
   */
  readonly publicOnly?: boolean | undefined;
  /** Default: 5. */
  readonly maxRedirects?: number | undefined;
  /** Refuses longer bodies. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /** Called about four times a second while reading, and at the end. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** The body of an HTTP resource, to be read once. Disposing it closes the connection. */
export interface HttpSource extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Where the body comes from after redirects, without user, password and query. */
  readonly location: string;
  /** Length of the body, when the server tells it. */
  readonly totalBytes?: number;
}

/**
 * Opens an HTTP or HTTPS resource. Redirects are followed, never from https to http; TLS
 * certificates are always verified; user and password of the URL are sent as Basic credentials to
 * its own origin only. A body whose connection breaks is continued where it ended, when the server
 * supports that. The body is taken as served: `accept-encoding` is `identity` and no content
 * encoding is removed.
 *
 * @throws ImageError on opening or reading: `IMAGE_SOURCE_*`, `IMAGE_TOO_MANY_REDIRECTS`,
 * `IMAGE_UNSAFE_REDIRECT`, `IMAGE_FORBIDDEN_ADDRESS`, `IMAGE_TOO_LARGE`, `IMAGE_CHECKSUM_MISMATCH`, `IMAGE_INVALID_ARGUMENT`.
 */
export async function openHttpSource(
  url: string,
  options: HttpSourceOptions = {},
): Promise<HttpSource> {
  const start = parseHttpUrl(url);
  const checksums = normaliseChecksums(options.checksum ?? {});
  const { signal, stallTimeoutMs = 30_000, maxRedirects = 5, maxBytes = Infinity } = options;
  const dispatcher = await createHttpDispatcher(start, {
    caBundle: options.caBundle,
    publicOnly: options.publicOnly,
    connectTimeoutMs: stallTimeoutMs,
  });
  const settings: RequestSettings = { dispatcher, stallTimeoutMs, maxRedirects, signal };
  try {
    const response = await sendRequest(start, {}, settings);
    if (response.status !== 200) {
      throw new ImageError(
        "IMAGE_SOURCE_STATUS",
        `${redactUrl(response.url)} answered with HTTP status ${response.status}, not 200`,
      );
    }
    const totalBytes = parseLength(firstValue(response.headers["content-length"]));
    const location = redactUrl(response.url);
    if (totalBytes !== undefined && totalBytes > maxBytes) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        `${location} has ${totalBytes} bytes, more than the limit of ${maxBytes}`,
      );
    }
    const body = new HttpSourceBody({
      response,
      start,
      settings,
      location,
      totalBytes,
      maxBytes,
      validator: validatorOf(response),
      verifier: checksumVerifier(checksums),
      onProgress: options.onProgress,
    });
    return {
      location,
      ...(totalBytes === undefined ? {} : { totalBytes }),
      [Symbol.asyncIterator]: () => body.read(),
      [Symbol.asyncDispose]: () => dispatcher.destroy(),
    };
  } catch (error) {
    await dispatcher.destroy();
    throw error;
  }
}
