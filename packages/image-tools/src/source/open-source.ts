import { fileURLToPath } from "node:url";
import type { HttpReaderOptions } from "../http/open-http-reader.ts";
import type { HttpSourceOptions } from "../http/open-http-source.ts";
import { ImageError, isImageError } from "../image-error.ts";
import { openFileReader, type RandomAccessReader } from "../io/random-access-reader.ts";
import type { OpenOciImageOptions } from "../oci/open-oci-image.ts";
import type { ForwardSource } from "./forward-source.ts";

/** Where an image comes from: something to read at random, or only in order. */
export type ImageSource =
  | { readonly kind: "random"; readonly reader: RandomAccessReader }
  | { readonly kind: "forward"; readonly stream: ForwardSource };

/** Options of {@link openSource}; those about networks are of no effect on files. */
export type OpenSourceOptions = HttpReaderOptions &
  Pick<HttpSourceOptions, "onProgress"> &
  Pick<OpenOciImageOptions, "pullSecret" | "architecture" | "plainHttp" | "limits">;

/**
 * Opens a local file, an http, https or file URL, or `docker://` with the name of a container image
 * in a registry. What a server does not serve in parts is
 * opened for reading in order. The caller disposes the reader or the stream.
 *
 * @throws ImageError `IMAGE_IO` for files, `IMAGE_INVALID_ARGUMENT` for other kinds of URL, and as
 * `openHttpReader` and `openOciImage` do.
 */
export async function openSource(
  location: string | URL,
  options: OpenSourceOptions = {},
): Promise<ImageSource> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(String(location))?.[1]?.toLowerCase();
  switch (scheme) {
    case "http":
    case "https":
      return openHttp(String(location), options);
    case "docker":
    case "oci": {
      const { openOciImage } = await import("../oci/open-oci-image.ts");
      return { kind: "forward", stream: await openOciImage(String(location), options) };
    }
    case "file":
      return { kind: "random", reader: await openFileReader(pathOf(String(location))) };
    case undefined:
      return { kind: "random", reader: await openFileReader(String(location)) };
    default:
      throw new ImageError(
        "IMAGE_INVALID_ARGUMENT",
        `images cannot be read from ${scheme}:// addresses; use a path, http, https or docker`,
      );
  }
}

async function openHttp(url: string, options: OpenSourceOptions): Promise<ImageSource> {
  const { openHttpReader } = await import("../http/open-http-reader.ts");
  try {
    return { kind: "random", reader: await openHttpReader(url, options) };
  } catch (error) {
    if (!isImageError(error, "IMAGE_SOURCE_NO_RANGES")) throw error;
  }
  const { openHttpSource } = await import("../http/open-http-source.ts");
  const source = await openHttpSource(url, options);
  const { totalBytes } = source;
  return {
    kind: "forward",
    stream: {
      ...(totalBytes === undefined ? {} : { sizeBytes: totalBytes }),
      [Symbol.asyncIterator]: () => source[Symbol.asyncIterator](),
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    },
  };
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "the file URL does not name a local file", {
      cause,
    });
  }
}
