import { ImageError } from "../image-error.ts";
import type { OciLayer } from "./layer-entries.ts";
import { readDocument, type OciBlobStore, type OciDescriptor } from "./oci-descriptor.ts";
import { parseDiffIds, parseOciDocument } from "./oci-documents.ts";

const MAX_INDEXES = 3;

/**
 * Goes from the first document of an image to the layers of one platform. Every document is
 * verified; layers stand in the order of the manifest, the lowest first.
 *
 * @throws ImageError `IMAGE_NOT_FOUND` when there is nothing for the platform, `IMAGE_CORRUPT`,
 * `IMAGE_UNSUPPORTED`, `IMAGE_CHECKSUM_MISMATCH`.
 */
export async function resolveLayers(
  store: OciBlobStore,
  first: Buffer,
  architecture: string,
): Promise<readonly OciLayer[]> {
  let bytes = first;
  for (let depth = 0; depth < MAX_INDEXES; depth += 1) {
    const document = parseOciDocument(bytes);
    if (document.kind === "index") {
      bytes = await readDocument(store, choosePlatform(document.manifests, architecture));
      continue;
    }
    const config = await readDocument(store, document.config);
    const diffIds = parseDiffIds(config, document.layers.length);
    return document.layers.map((descriptor, index) => ({
      descriptor,
      diffId: diffIds[index] as string,
    }));
  }
  throw new ImageError(
    "IMAGE_UNSAFE",
    "the container image has indexes within indexes without end",
  );
}

function choosePlatform(manifests: readonly OciDescriptor[], architecture: string): OciDescriptor {
  const matching = manifests.find(
    ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
  );
  const only =
    manifests.length === 1 && manifests[0]?.platform === undefined ? manifests[0] : undefined;
  const chosen = matching ?? only;
  if (chosen !== undefined) return chosen;
  const names = manifests.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);
  throw new ImageError(
    "IMAGE_NOT_FOUND",
    `the container image is not there for linux/${architecture}, only for ${names.join(", ")}`,
  );
}
