/** One entry of an archive. Owner and group are root, the time of change is the epoch. */
export interface CpioEntry {
  /** Path without a leading slash. */
  readonly path: string;
  /** Permission bits, such as 0o755. */
  readonly mode: number;
  /** A file's bytes, a symbolic link's target, or a folder. */
  readonly content:
    | { readonly kind: "file"; readonly bytes: Uint8Array }
    | { readonly kind: "symbolic-link"; readonly target: string }
    | { readonly kind: "directory" };
}

const TYPE_BITS = { file: 0o100000, "symbolic-link": 0o120000, directory: 0o040000 } as const;
const TRAILER = "TRAILER!!!";

/**
 * Writes a cpio archive of format "newc", as the kernel takes it for an initramfs
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Entries are written in the order given: a folder must come before what is in it.
 *
 * @throws RangeError when a path is empty or absolute, or a file has 4 GiB or more.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    if (entry.path === "" || entry.path.startsWith("/")) {
      throw new RangeError(`"${entry.path}" is no path of an archive: it must be relative.`);
    }
    const body = entryBody(entry);
    if (body.length > 0xffff_ffff) throw new RangeError(`${entry.path} is too big for an archive.`);
    // An inode number of its own keeps every file apart from hard links.
    parts.push(...record(entry.path, index + 1, TYPE_BITS[entry.content.kind] | entry.mode, body));
  });
  parts.push(...record(TRAILER, 0, 0, new Uint8Array()));
  return Buffer.concat(parts);
}

function entryBody(entry: CpioEntry): Uint8Array {
  switch (entry.content.kind) {
    case "file":
      return entry.content.bytes;
    case "symbolic-link":
      return Buffer.from(entry.content.target);
    case "directory":
      return new Uint8Array();
  }
}

function record(path: string, inode: number, mode: number, body: Uint8Array): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const [user, group, links, modified, device] = [0, 0, 1, 0, [0, 0, 0, 0]] as const;
  const numbers = [
    inode,
    mode,
    user,
    group,
    links,
    modified,
    body.length,
    ...device,
    name.length,
    0,
  ];
  const digits = numbers.map((number) => number.toString(16).padStart(8, "0")).join("");
  const header = Buffer.from(`070701${digits}`);
  return [header, name, padding(header.length + name.length), body, padding(body.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}
