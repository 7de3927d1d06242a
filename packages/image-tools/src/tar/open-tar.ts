import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { subReader } from "../source/sub-reader.ts";
import { walkTar, type TarMember } from "./walk-tar.ts";

/** A tar archive whose members are read where they lie. Disposing it disposes the reader. */
export interface TarArchive extends AsyncDisposable {
  /** All members, in the order of the archive. */
  readonly members: readonly TarMember[];
  /**
   * The content of a regular file; disposing it leaves the archive open.
   *
   * @throws ImageError `IMAGE_NOT_FOUND`; `IMAGE_UNSAFE` when two members have this name or it is
   * a link or a device, `IMAGE_UNSUPPORTED` when it is a sparse file.
   */
  open(name: string): RandomAccessReader;
}

/**
 * Opens an uncompressed tar archive by reading its headers; nothing is extracted.
 *
 * @throws ImageError as `walkTar` does; the reader is left open then.
 */
export async function openTar(
  reader: RandomAccessReader,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<TarArchive> {
  const members: TarMember[] = [];
  const byName = new Map<string, TarMember[]>();
  for await (const member of walkTar(reader, options)) {
    members.push(member);
    const same = byName.get(member.name);
    if (same === undefined) byName.set(member.name, [member]);
    else same.push(member);
  }
  return {
    members,
    open: (name) => {
      const member = onlyMember(name, byName.get(name) ?? []);
      return subReader(reader, member.offset, member.sizeBytes);
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

function onlyMember(name: string, found: readonly TarMember[]): TarMember {
  const [member] = found;
  if (member === undefined) {
    throw new ImageError("IMAGE_NOT_FOUND", `the archive has no member "${name}"`);
  }
  if (found.length > 1) {
    throw new ImageError("IMAGE_UNSAFE", `the archive has "${name}" more than once`);
  }
  if (member.type === "sparse") {
    throw new ImageError(
      "IMAGE_UNSUPPORTED",
      `"${name}" is a sparse member; make the archive without --sparse`,
    );
  }
  if (member.type !== "file") {
    throw new ImageError("IMAGE_UNSAFE", `"${name}" is a ${member.type} and not a file`);
  }
  return member;
}
