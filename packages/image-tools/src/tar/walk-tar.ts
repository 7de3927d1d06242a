import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import { parsePaxRecords } from "./pax-records.ts";
import {
  corrupt,
  parseTarHeader,
  TAR_BLOCK_BYTES,
  textField,
  type TarHeader,
} from "./tar-header.ts";

const MAX_MEMBERS = 10_000;
const MAX_EXTENSION_BYTES = 1024 * 1024;

/** A member of a tar archive and where its content lies. */
export interface TarMember {
  /** Relative, with `/` between its parts, without `.` and `..`. */
  readonly name: string;
  readonly type: "file" | "directory" | "link" | "special" | "sparse";
  readonly offset: number;
  /** Length of the content in the archive. */
  readonly sizeBytes: number;
}

/**
 * Goes through the members of a tar archive in order, reading only their headers. Understands
 * ustar, PAX and GNU names and sizes.
 *
 * @throws ImageError `IMAGE_TRUNCATED` when a member or the end mark is missing, `IMAGE_CORRUPT`,
 * `IMAGE_UNSAFE` for names that lead outside, `IMAGE_TOO_LARGE` for very many members.
 */
export async function* walkTar(
  reader: RandomAccessReader,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<TarMember, void, void> {
  let position = 0;
  let extensions: Extensions = {};
  for (let headers = 0; ; headers += 1) {
    options.signal?.throwIfAborted();
    if (headers > MAX_MEMBERS * 3) {
      throw new ImageError("IMAGE_TOO_LARGE", `the tar archive has over ${MAX_MEMBERS} members`);
    }
    if (position + TAR_BLOCK_BYTES > reader.sizeBytes) throw truncated("its end mark is missing");
    const header = parseTarHeader(await reader.read(position, TAR_BLOCK_BYTES));
    if (header === undefined) return;
    const offset = position + TAR_BLOCK_BYTES;
    const isExtension = "xgLK".includes(header.flag);
    const sizeBytes = isExtension ? header.sizeBytes : (extensions.sizeBytes ?? header.sizeBytes);
    const end = offset + Math.ceil(sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    if (offset + sizeBytes > reader.sizeBytes) throw truncated(`"${header.name}" is incomplete`);
    if (isExtension) {
      extensions = await readExtension(reader, header, offset, extensions);
    } else {
      const type = memberType(header.flag, extensions.isSparse ?? false);
      yield { name: memberName(extensions.name ?? header.name), type, offset, sizeBytes };
      extensions = {};
    }
    position = end;
  }
}

interface Extensions {
  readonly name?: string;
  readonly sizeBytes?: number;
  readonly isSparse?: boolean;
}

/** Relative form of a member's name, as it is compared. @throws ImageError `IMAGE_UNSAFE`. */
export function memberName(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || parts.includes("..") || name.includes("\0") || name.includes("\\")) {
    throw new ImageError(
      "IMAGE_UNSAFE",
      `the archive has a member whose name leads outside of it: ${JSON.stringify(name)}`,
    );
  }
  return parts.join("/");
}

async function readExtension(
  reader: RandomAccessReader,
  header: TarHeader,
  offset: number,
  extensions: Extensions,
): Promise<Extensions> {
  if (header.sizeBytes > MAX_EXTENSION_BYTES) throw corrupt("an extended header is too long");
  const bytes = await reader.read(offset, header.sizeBytes);
  switch (header.flag) {
    case "L":
      return { ...extensions, name: textField(bytes, 0, bytes.length) };
    case "K":
      return extensions;
    case "g":
      refuseGlobal(parsePaxRecords(bytes));
      return extensions;
    default:
      return { ...extensions, ...memberRecords(parsePaxRecords(bytes)) };
  }
}

function memberRecords(records: ReadonlyMap<string, string>): Extensions {
  const name = records.get("path");
  const size = records.get("size");
  if (size !== undefined && !(/^\d+$/.test(size) && Number.isSafeInteger(Number(size)))) {
    throw corrupt("a member has an impossible size");
  }
  return {
    ...(name === undefined ? {} : { name }),
    ...(size === undefined ? {} : { sizeBytes: Number(size) }),
    ...([...records.keys()].some((key) => key.startsWith("GNU.sparse.")) ? { isSparse: true } : {}),
  };
}

function refuseGlobal(records: ReadonlyMap<string, string>): void {
  if (!records.has("path") && !records.has("size")) return;
  throw new ImageError(
    "IMAGE_UNSAFE",
    "the tar archive gives all of its members the same name or size, which could deceive a reader",
  );
}

function memberType(flag: string, isSparse: boolean): TarMember["type"] {
  if (isSparse || flag === "S") return "sparse";
  if (flag === "0" || flag === "7") return "file";
  if (flag === "5") return "directory";
  return flag === "1" || flag === "2" ? "link" : "special";
}

function truncated(reason: string): ImageError {
  return new ImageError("IMAGE_TRUNCATED", `the tar archive is cut short: ${reason}`);
}
