import { createHttpDispatcher } from "../http/http-dispatcher.ts";
import { ImageError } from "../image-error.ts";
import { resolveImageLimits } from "../image-limits.ts";
import { isLoopbackRegistry, parseOciReference } from "./oci-reference.ts";
import { openDisk, type OciDisk } from "./open-disk.ts";
import type { OpenOciLayoutOptions } from "./open-oci-layout.ts";
import { findCredentials } from "./pull-secret.ts";
import { RegistryClient } from "./registry-client.ts";
import { resolveLayers } from "./resolve-image.ts";

/** Options of {@link openOciImage}. */
export interface OpenOciImageOptions extends OpenOciLayoutOptions {
  /** Text of a `.dockerconfigjson` with the credentials. */
  readonly pullSecret?: string | undefined;
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string | undefined;
  /** Speaks to the registry without encryption. Default: true on this machine, else false. */
  readonly plainHttp?: boolean | undefined;
  /** Refuses registries without a public address. Default: false. */
  readonly publicOnly?: boolean | undefined;
  /** Longest silence of the registry in milliseconds. Default: 30 000. */
  readonly stallTimeoutMs?: number | undefined;
}

/**
 * Opens the disk of a container image in a registry: the file in its folder `/disk`. Layers are
 * searched from the top and streamed, with whiteouts; size and digest of everything that is read
 * are verified. Disposing the disk closes the connections.
 *
 * @param reference - `host[:port]/repository[:tag][@digest]`, with or without `docker://`.
 * @throws ImageError on opening and reading as `openOciLayout` does, and `IMAGE_SOURCE_*`,
 * `IMAGE_TOO_MANY_REDIRECTS`, `IMAGE_UNSAFE_REDIRECT`, `IMAGE_FORBIDDEN_ADDRESS`,
 * `IMAGE_INVALID_ARGUMENT`.
 * @see OCI Distribution Specification 1.1
 */
export async function openOciImage(
  reference: string,
  options: OpenOciImageOptions = {},
): Promise<OciDisk> {
  const parsed = parseOciReference(reference);
  const { signal, stallTimeoutMs = 30_000, architecture = "amd64", pullSecret } = options;
  const plain = options.plainHttp ?? isLoopbackRegistry(parsed.registry);
  const origin = `${plain ? "http" : "https"}://${parsed.registry}`;
  if (!URL.canParse(origin)) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "the container registry has an invalid name");
  }
  const credentials = pullSecret === undefined ? undefined : findCredentials(pullSecret, parsed);
  const dispatcher = await createHttpDispatcher(new URL(origin), {
    caBundle: options.caBundle,
    publicOnly: options.publicOnly,
    connectTimeoutMs: stallTimeoutMs,
  });
  try {
    const settings = { dispatcher, stallTimeoutMs, maxRedirects: 5, signal };
    const client = new RegistryClient(origin, parsed, credentials, settings);
    const layers = await resolveLayers(client, await client.fetchManifest(), architecture);
    const disk = await openDisk(client, layers, resolveImageLimits(options.limits));
    return {
      fileName: disk.fileName,
      sizeBytes: disk.sizeBytes,
      [Symbol.asyncIterator]: () => disk[Symbol.asyncIterator](),
      [Symbol.asyncDispose]: async () => {
        await disk[Symbol.asyncDispose]();
        await dispatcher.destroy();
      },
    };
  } catch (error) {
    await dispatcher.destroy();
    throw error;
  }
}
