import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import type { ForwardSource } from "../source/forward-source.ts";
import { judgeEntry, skipEntry } from "./disk-layer.ts";
import { brokenLayer, layerEntries, type LayerEntry, type OciLayer } from "./layer-entries.ts";
import type { OciBlobStore } from "./oci-descriptor.ts";

/**
 * The disk image in a container image, to be read once. Reading on to the end verifies the size
 * and the digests of the layer: nothing of it may be published before.
 */
export interface OciDisk extends ForwardSource {
  /** Name of the file in `/disk`. */
  readonly fileName: string;
  /** Length of the file. */
  readonly sizeBytes: number;
}

/**
 * Searches the layers from the top for the file in `/disk`. The layers below the one that has it
 * are not looked at.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED` when no layer has one or it was deleted, `IMAGE_UNSAFE`, and
 * as `layerEntries` does. Reading the disk also throws `IMAGE_UNSUPPORTED` when the layer has
 * another file in `/disk`.
 */
export async function openDisk(
  store: OciBlobStore,
  layers: readonly OciLayer[],
  limits: Required<ImageLimits>,
): Promise<OciDisk> {
  const deleted = new Set<string>();
  for (const layer of layers.toReversed()) {
    const entries = layerEntries(store, layer, limits);
    const here = new Set<string>();
    let isOpaque = false;
    for (;;) {
      const step = await entries.next();
      if (step.done === true) break;
      const entry = step.value;
      const judged = await judgeOrEnd(entries, entry);
      if (judged.kind === "disk" && !deleted.has(judged.name)) {
        return diskOf(layer, entries, entry, judged.name);
      }
      if (judged.kind === "opaque") isOpaque = true;
      if (judged.kind === "whiteout") here.add(judged.name);
      await skipEntry(entry);
    }
    if (isOpaque) break;
    for (const name of here) deleted.add(name);
  }
  throw new ImageError(
    "IMAGE_UNRECOGNISED",
    "the container image holds no disk: it has no file in /disk, or an upper layer deleted it",
  );
}

async function judgeOrEnd(
  entries: AsyncGenerator<LayerEntry, void, void>,
  entry: LayerEntry,
): Promise<ReturnType<typeof judgeEntry>> {
  try {
    return judgeEntry(entry);
  } catch (error) {
    await entries.return();
    throw error;
  }
}

function diskOf(
  layer: OciLayer,
  entries: AsyncGenerator<LayerEntry, void, void>,
  entry: LayerEntry,
  fileName: string,
): OciDisk {
  const { sizeBytes } = entry;

  async function* content(): AsyncGenerator<Uint8Array, void, void> {
    try {
      let received = 0;
      for await (const chunk of entry.content) {
        received += chunk.length;
        yield chunk;
      }
      if (received !== sizeBytes) throw brokenLayer(layer, undefined);
      for (;;) {
        const step = await entries.next();
        if (step.done === true) return;
        const judged = judgeEntry(step.value);
        if (judged.kind === "disk") {
          throw new ImageError(
            "IMAGE_UNSUPPORTED",
            `the container image has several disks, "${fileName}" and "${judged.name}"`,
          );
        }
        await skipEntry(step.value);
      }
    } finally {
      await entries.return();
    }
  }

  const stream = content();
  return {
    fileName,
    sizeBytes,
    [Symbol.asyncIterator]: () => stream,
    [Symbol.asyncDispose]: async () => {
      await stream.return();
      await entries.return();
    },
  };
}
