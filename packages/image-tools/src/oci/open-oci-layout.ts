import { ImageError } from "../image-error.ts";
import { resolveImageLimits, type ImageLimits } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { readInOrder } from "../source/sub-reader.ts";
import { openTar } from "../tar/open-tar.ts";
import { collectDocument, type OciBlobStore } from "./oci-descriptor.ts";
import { openDisk, type OciDisk } from "./open-disk.ts";
import { resolveLayers } from "./resolve-image.ts";

/** Options of {@link openOciLayout}. */
export interface OpenOciLayoutOptions {
  /** As Go names it. Default: "amd64". */
  readonly architecture?: string | undefined;
  readonly limits?: ImageLimits | undefined;
  /** Ends opening and reading with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the disk of a container image that was saved as an OCI layout in a tar archive. Size and
 * digest of everything that is read are verified. Disposing the disk leaves the reader open.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED` (no disk in it), `IMAGE_NOT_FOUND`, `IMAGE_CORRUPT`, `IMAGE_UNSAFE`, `IMAGE_UNSUPPORTED`,
 * `IMAGE_CHECKSUM_MISMATCH`, `IMAGE_TRUNCATED`, `IMAGE_TOO_LARGE`; reading the disk throws them, too.
 * @see OCI Image Format Specification 1.1, "Image Layout"
 */
export async function openOciLayout(
  reader: RandomAccessReader,
  options: OpenOciLayoutOptions = {},
): Promise<OciDisk> {
  const { architecture = "amd64", signal } = options;
  const tar = await openTar(reader, { signal });
  const imageLayoutVersion = layoutVersion(await readText("oci-layout"));
  if (imageLayoutVersion?.startsWith("1.") !== true) {
    throw new ImageError("IMAGE_UNSUPPORTED", "the archive has an unknown version of OCI layout");
  }
  const store: OciBlobStore = {
    open: ({ digest, sizeBytes }) => {
      const name = `blobs/${digest.replace(":", "/")}`;
      const member = tar.members.find((candidate) => candidate.name === name);
      if (member?.sizeBytes !== sizeBytes) {
        throw new ImageError(
          "IMAGE_CORRUPT",
          `"${name}" of the OCI layout is missing or has another length than its manifest says`,
        );
      }
      return readInOrder(tar.open(name), signal);
    },
  };
  const index = Buffer.from(await readText("index.json"));
  const layers = await resolveLayers(store, index, architecture);
  return openDisk(store, layers, resolveImageLimits(options.limits));

  async function readText(name: string): Promise<string> {
    const bytes = await collectDocument(readInOrder(tar.open(name), signal));
    return bytes.toString("utf8");
  }
}

function layoutVersion(text: string): string | undefined {
  try {
    const { imageLayoutVersion } = JSON.parse(text) as { imageLayoutVersion?: unknown };
    return typeof imageLayoutVersion === "string" ? imageLayoutVersion : undefined;
  } catch {
    return undefined;
  }
}
