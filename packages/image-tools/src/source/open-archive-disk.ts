import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { openOciLayout } from "../oci/open-oci-layout.ts";
import { openOva } from "../ova/open-ova.ts";
import { isDescriptorName } from "../ova/ova-parts.ts";
import { openTar, type TarArchive } from "../tar/open-tar.ts";
import type { ImageSource } from "./open-source.ts";

/** Options of {@link openArchiveDisk}. */
export interface OpenArchiveDiskOptions {
  readonly limits?: ImageLimits | undefined;
  /** Ends opening with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The one disk image in an archive. */
export interface ArchiveDisk {
  readonly archive: "ova" | "oci" | "tar";
  /** The reader of the archive stays open when it is disposed. */
  readonly source: ImageSource;
  /**
   * Verifies what reading the source does not: the manifest of an OVA. Do this before the content
   * is used for good.
   *
   * @throws ImageError `IMAGE_CHECKSUM_MISMATCH`, `IMAGE_CORRUPT`.
   */
  verify(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/**
 * Opens the disk image in a tar archive: an OVA with one disk, a container image saved as OCI
 * layout, or any archive with one file. The reader is left open.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED` for archives of anything else, `IMAGE_UNSUPPORTED` for an
 * OVA with several disks (use `openOva`), and as `openOva`, `openOciLayout` and `openTar` do.
 */
export async function openArchiveDisk(
  reader: RandomAccessReader,
  options: OpenArchiveDiskOptions = {},
): Promise<ArchiveDisk> {
  const tar = await openTar(reader, options);
  const names = tar.members.map(({ name }) => name);
  if (names.some(isDescriptorName)) return openOvaDisk(reader, options);
  if (names.includes("oci-layout") || names.includes("index.json")) {
    const stream = await openOciLayout(reader, options);
    return { archive: "oci", source: { kind: "forward", stream }, verify: async () => {} };
  }
  const source: ImageSource = { kind: "random", reader: tar.open(onlyFile(tar)) };
  return { archive: "tar", source, verify: async () => {} };
}

async function openOvaDisk(
  reader: RandomAccessReader,
  options: OpenArchiveDiskOptions,
): Promise<ArchiveDisk> {
  const ova = await openOva(reader, options);
  const [disk] = ova.disks;
  if (disk === undefined || ova.disks.length > 1) {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      `the OVA has ${ova.disks.length} disks with content; choose one of them`,
    );
  }
  return { archive: "ova", source: disk.open(), verify: (verify) => ova.verify(verify) };
}

function onlyFile(tar: TarArchive): string {
  const files = tar.members.filter(({ type }) => type !== "directory");
  const [file] = files;
  if (file === undefined || files.length > 1) {
    throw new ImageError(
      "IMAGE_UNRECOGNISED",
      "the tar archive is neither an OVA nor an OCI image, and not a single disk image either",
    );
  }
  return file.name;
}
