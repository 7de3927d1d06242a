import { ImageError } from "../image-error.ts";

const MAX_LISTED_NAMES = 20;

/** What a disk of a package is called. */
export interface DiskNames {
  readonly id: string;
  readonly fileName: string;
}

/**
 * The disk of an OVA that `member` names, or the only one.
 *
 * @throws ImageError `IMAGE_UNRECOGNISED` without disks, `IMAGE_INVALID_ARGUMENT` when there are several
 * and none is named, `IMAGE_NOT_FOUND` when the named one is not there.
 */
export function chooseDisk<Disk extends DiskNames>(
  disks: readonly Disk[],
  member: string | undefined,
): Disk {
  const [first] = disks;
  if (first === undefined) {
    throw new ImageError("IMAGE_UNRECOGNISED", "the OVA has no disk with content");
  }
  const names = disks.map(({ fileName }) => fileName);
  if (member === undefined) {
    if (disks.length === 1) return first;
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      `the OVA has ${names.length} disks with content; choose one of them: ${listNames(names)}`,
    );
  }
  const chosen = disks.find(({ fileName, id }) => fileName === member || id === member);
  if (chosen === undefined) throw memberMissing("OVA", member, names);
  return chosen;
}

/** The error for a member that an archive does not have. */
export function memberMissing(
  archive: string,
  member: string,
  names: readonly string[],
): ImageError {
  return new ImageError(
    "IMAGE_NOT_FOUND",
    `the ${archive} has no disk ${JSON.stringify(member)}; it has ${listNames(names)}`,
  );
}

/** The error for an archive of files of which none is known to be the disk. */
export function severalFiles(names: readonly string[]): ImageError {
  return new ImageError(
    "IMAGE_UNRECOGNISED",
    `the tar archive is neither an OVA nor an OCI image, and has several files; choose one of them: ${listNames(names)}`,
  );
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED_NAMES).map((name) => JSON.stringify(name));
  return `${shown.join(", ")}${names.length > MAX_LISTED_NAMES ? " and more" : ""}`;
}
