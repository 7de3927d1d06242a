import { ImageError } from "../image-error.ts";
import type { ImageLimits } from "../image-limits.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { openOciLayout } from "../oci/open-oci-layout.ts";
import { chooseDisk, memberMissing, severalFiles } from "../ova/choose-disk.ts";
import { openOva } from "../ova/open-ova.ts";
import { isDescriptorName } from "../ova/ova-parts.ts";
import { openTar, type TarArchive } from "../tar/open-tar.ts";
import type { ImageSource } from "./open-source.ts";

/** Options of {@link openArchiveDisk}. */
export interface OpenArchiveDiskOptions {
  readonly limits?: ImageLimits | undefined;
  /** Which disk is meant: the name of its member, or its id in the descriptor of an OVA. Default: the only one. */
  readonly member?: string | undefined;
  /** Ends opening with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A disk image in an archive. */
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
 * Opens a disk image in a tar archive: an OVA, a container image saved as OCI layout, or any archive
 * with one file. The reader is left open.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED` for archives of anything else, `IMAGE_INVALID_ARGUMENT` when
 * there are several disks and none is chosen, `IMAGE_NOT_FOUND` when the chosen one is not there, and
 * as `openOva`, `openOciLayout` and `openTar` do.
 */
export async function openArchiveDisk(
  reader: RandomAccessReader,
  options: OpenArchiveDiskOptions = {},
): Promise<ArchiveDisk> {
  const tar = await openTar(reader, options);
  const names = tar.members.map(({ name }) => name);
  if (names.some(isDescriptorName)) return openOvaDisk(reader, options);
  if (names.includes("oci-layout") || names.includes("index.json")) {
    if (options.member !== undefined) {
      throw new ImageError(
        "IMAGE_INVALID_ARGUMENT",
        "a container image has no disks to choose from",
      );
    }
    const stream = await openOciLayout(reader, options);
    return { archive: "oci", source: { kind: "forward", stream }, verify: async () => {} };
  }
  const name = chooseFile(tar, options.member);
  const source: ImageSource = { kind: "random", reader: tar.open(name) };
  return { archive: "tar", source, verify: async () => {} };
}

async function openOvaDisk(
  reader: RandomAccessReader,
  options: OpenArchiveDiskOptions,
): Promise<ArchiveDisk> {
  const ova = await openOva(reader, options);
  const disk = chooseDisk(ova.disks, options.member);
  const opened = disk.openVerified();
  return {
    archive: "ova",
    source: opened.source,
    verify: async (verify) => {
      await opened.verify(verify);
      await ova.verify({ ...verify, except: disk.members });
    },
  };
}

function chooseFile(tar: TarArchive, member: string | undefined): string {
  const names = tar.members.filter(({ type }) => type !== "directory").map(({ name }) => name);
  if (member !== undefined) {
    if (names.includes(member)) return member;
    throw memberMissing("tar archive", member, names);
  }
  const [first] = names;
  if (first === undefined) {
    throw new ImageError("IMAGE_UNRECOGNISED", "the tar archive has no files");
  }
  if (names.length > 1) throw severalFiles(names);
  return first;
}
