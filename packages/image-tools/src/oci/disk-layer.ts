import { ImageError } from "../image-error.ts";
import { memberName } from "../tar/walk-tar.ts";
import type { LayerEntry } from "./layer-entries.ts";

const FOLDER = "disk";
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** What an entry of a layer means to the search for the disk. */
export type DiskEntry =
  | { readonly kind: "other" }
  /** Nothing of lower layers is visible in the folder. */
  | { readonly kind: "opaque" }
  /** The file of this name in lower layers is deleted. */
  | { readonly kind: "whiteout"; readonly name: string }
  | { readonly kind: "disk"; readonly name: string };

/**
 * Judges an entry: disks are the regular files right inside of `/disk`.
 *
 * @throws ImageError `IMAGE_UNSAFE` for names that lead outside, and for anything in the folder,
 * or the folder itself, that is neither a file nor a folder.
 * @see OCI Image Format Specification 1.1, "Image Layer Filesystem Changeset", whiteouts
 */
export function judgeEntry(entry: LayerEntry): DiskEntry {
  const path = memberName(entry.name.replace(/^\/+/, ""));
  const [folder = "", name = "", ...deeper] = path.split("/");
  if (path === OPAQUE || path === `${WHITEOUT}${FOLDER}`) return { kind: "opaque" };
  if (folder !== FOLDER) return { kind: "other" };
  const isFolder = entry.type === "directory";
  const isFile = entry.type === "file" || entry.type === "contiguous-file";
  if (name === "" || deeper.length > 0) {
    if (isFolder || (isFile && deeper.length > 0)) return { kind: "other" };
    throw unsafe(path, entry);
  }
  if (name === OPAQUE) return { kind: "opaque" };
  if (name.startsWith(WHITEOUT)) return { kind: "whiteout", name: name.slice(WHITEOUT.length) };
  if (isFolder) return { kind: "other" };
  const isSparse = entry.paxKeywords.some((key) => key.startsWith("GNU.sparse."));
  if (!isFile || isSparse) throw unsafe(path, entry);
  return { kind: "disk", name };
}

/** Reads over the content of an entry. */
export async function skipEntry(entry: LayerEntry): Promise<void> {
  for await (const _chunk of entry.content);
}

function unsafe(path: string, { type }: LayerEntry): ImageError {
  return new ImageError(
    "IMAGE_UNSAFE",
    `"/${path}" of the container image is a ${type ?? "sparse or unknown file"}, not a file`,
  );
}
