import { checkReadRange, type RandomAccessReader } from "../io/random-access-reader.ts";
import { ImageError } from "../image-error.ts";
import { createHttpDispatcher } from "./http-dispatcher.ts";
import type { HttpSourceOptions } from "./open-http-source.ts";
import { parseHttpUrl } from "./parse-http-url.ts";
import { RangeClient, type HttpTraffic } from "./range-client.ts";
import { RangeReader } from "./range-reader.ts";
import type { RemoteFile } from "./remote-file.ts";

// What detection looks at, in whole blocks.
const HEAD_BYTES = 80 * 1024;

/** Options of {@link openHttpReader}. */
export interface HttpReaderOptions extends Omit<HttpSourceOptions, "checksum" | "onProgress"> {
  /** Connections for reading ahead, 1 to 16. Default: 4. */
  readonly connections?: number | undefined;
}

/** Random access to a file on a web server. Disposing it closes the connections. */
export interface HttpReader extends RandomAccessReader {
  /** Where the file is after redirects, without user, password and query. */
  readonly location: string;
  /** Entity tag or modification date: equal values mean the same bytes. */
  readonly validator?: string;
  /** What has been asked of the server so far. */
  readonly traffic: Readonly<HttpTraffic>;
}

/**
 * Opens an HTTP or HTTPS file for random access by range requests. Small reads are served from
 * blocks of 16 KiB; reads that follow each other are fetched ahead in segments of 4 MiB over
 * several connections. A part that fails for a passing reason is fetched again, from where it
 * broke off. Every part must belong to the same version of the file (size, entity tag,
 * modification date). For redirects, certificates, credentials and addresses the rules of
 * `openHttpSource` hold.
 *
 * @throws ImageError `IMAGE_SOURCE_NO_RANGES` when the server ignores ranges (read the file with
 * `openHttpSource` then); on opening or reading `IMAGE_SOURCE_*`, `IMAGE_TOO_MANY_REDIRECTS`,
 * `IMAGE_UNSAFE_REDIRECT`, `IMAGE_FORBIDDEN_ADDRESS`, `IMAGE_TOO_LARGE`, `IMAGE_INVALID_ARGUMENT`.
 * @see RFC 9110, section 14
 */
export async function openHttpReader(
  url: string,
  options: HttpReaderOptions = {},
): Promise<HttpReader> {
  const start = parseHttpUrl(url);
  const { stallTimeoutMs = 30_000, maxRedirects = 5, connections = 4 } = options;
  if (!Number.isInteger(connections) || connections < 1 || connections > 16) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "connections must be a number from 1 to 16");
  }
  const dispatcher = await createHttpDispatcher(start, {
    caBundle: options.caBundle,
    publicOnly: options.publicOnly,
    connectTimeoutMs: stallTimeoutMs,
  });
  const closing = new AbortController();
  const signals = options.signal === undefined ? [] : [options.signal];
  const signal = AbortSignal.any([closing.signal, ...signals]);
  const client = new RangeClient(start, { dispatcher, stallTimeoutMs, maxRedirects, signal });
  try {
    const { file, bytes, location } = await client.open(HEAD_BYTES);
    const { sizeBytes } = file;
    const { maxBytes = Infinity } = options;
    if (sizeBytes > maxBytes) {
      throw new ImageError(
        "IMAGE_TOO_LARGE",
        `${location} has ${sizeBytes} bytes, more than the limit of ${maxBytes}`,
      );
    }
    const validator = validatorOf(file);
    const reader = new RangeReader(client, { sizeBytes, connections, head: bytes });
    return {
      sizeBytes,
      location,
      ...(validator === undefined ? {} : { validator }),
      traffic: client.traffic,
      read: async (offset, length) => {
        checkReadRange(offset, length, sizeBytes);
        signal?.throwIfAborted();
        return reader.read(offset, length);
      },
      [Symbol.asyncDispose]: async () => {
        closing.abort(new ImageError("IMAGE_INVALID_ARGUMENT", `${location} was closed already`));
        await dispatcher.destroy();
      },
    };
  } catch (error) {
    await dispatcher.destroy();
    throw error;
  }
}

function validatorOf({ etag, lastModified }: RemoteFile): string | undefined {
  return etag ?? lastModified;
}
