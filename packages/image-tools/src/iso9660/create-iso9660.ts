import { ImageError } from "../image-error.ts";
import {
  directoryRecord,
  layOutDirectory,
  rootPathTable,
  type IsoDirectoryRecord,
} from "./iso-directory.ts";
import { ISO_SECTOR_BYTES, sectorsFor, ucs2 } from "./iso-fields.ts";
import { checkIsoFileName, shortIsoNames } from "./iso-file-names.ts";
import { descriptorTerminator, volumeDescriptor } from "./iso-volume-descriptor.ts";
import { rockRidgeDirectory, rockRidgeFile } from "./rock-ridge.ts";

const MAX_FILES = 1000;
const MAX_CONTENT_BYTES = 64 * 1024 * 1024;
const VOLUME_ID = /^[A-Za-z0-9_. -]{1,16}$/;
const SYSTEM_AREA_SECTORS = 16;
// Programs that look for file systems read ahead, and some give up on a disc that ends there.
const PADDING_SECTORS = 150;
const DEFAULT_DATE = new Date(Date.UTC(2000, 0, 1));

/** A file of the disc; there are no directories. */
export interface Iso9660File {
  /** At most 64 characters, without `* / : ; ? \` and control characters. */
  readonly name: string;
  /** Text is written as UTF-8. */
  readonly content: string | Uint8Array;
}

/** What {@link createIso9660} writes. */
export interface Iso9660Input {
  /** Label of the disc, 1 to 16 of letters, digits, `_`, `.`, `-` and space. */
  readonly volumeId: string;
  /** At most 1000 files of together at most 64 MiB, with different names. */
  readonly files: readonly Iso9660File[];
  /** Date of the disc and of every file. Default: 2000-01-01, so that equal input gives equal bytes. */
  readonly date?: Date;
}

/**
 * Makes an ISO 9660 disc image in memory whose file names are kept by Joliet and Rock Ridge, such
 * as the `cidata` disc of cloud-init.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` for a malformed label, name or date,
 * `IMAGE_TOO_LARGE` for too many or too large files.
 * @see ECMA-119; Joliet specification; IEEE P1282 (Rock Ridge)
 */
export function createIso9660(input: Iso9660Input): Uint8Array {
  const { volumeId, date = DEFAULT_DATE } = input;
  const files = checkFiles(input);
  const contents = files.map(({ content }) => content);

  const sizeOf = (records: readonly Buffer[]): number => layOutDirectory(records).length;
  const placeholder = { rootSector: 0, rootBytes: 0, fileSectors: contents.map(() => 0) };
  const primaryBytes = sizeOf(primaryRecords(files, placeholder, date));
  const jolietBytes = sizeOf(jolietRecords(files, placeholder, date));

  const pathTables = SYSTEM_AREA_SECTORS + 3;
  const primarySector = pathTables + 4;
  const jolietSector = primarySector + sectorsFor(primaryBytes);
  let nextSector = jolietSector + sectorsFor(jolietBytes);
  const fileSectors = contents.map((content) => {
    const sector = content.length === 0 ? 0 : nextSector;
    nextSector += sectorsFor(content.length);
    return sector;
  });
  const volumeSectors = nextSector + PADDING_SECTORS;
  const primary = { rootSector: primarySector, rootBytes: primaryBytes, fileSectors };
  const joliet = { rootSector: jolietSector, rootBytes: jolietBytes, fileSectors };

  const image = Buffer.alloc(volumeSectors * ISO_SECTOR_BYTES);
  const put = (sector: number, bytes: Uint8Array): void => {
    image.set(bytes, sector * ISO_SECTOR_BYTES);
  };
  const descriptor = (kind: "primary" | "joliet", layout: Layout, tables: number): Buffer =>
    volumeDescriptor({
      kind,
      volumeId,
      volumeSectors,
      pathTableBytes: rootPathTable(0, "little").length,
      littlePathTableSector: tables,
      bigPathTableSector: tables + 1,
      rootRecord: directoryRecord(selfRecord(layout, 0, Buffer.alloc(0)), date),
      date,
    });
  put(SYSTEM_AREA_SECTORS, descriptor("primary", primary, pathTables));
  put(SYSTEM_AREA_SECTORS + 1, descriptor("joliet", joliet, pathTables + 2));
  put(SYSTEM_AREA_SECTORS + 2, descriptorTerminator());
  put(pathTables, rootPathTable(primarySector, "little"));
  put(pathTables + 1, rootPathTable(primarySector, "big"));
  put(pathTables + 2, rootPathTable(jolietSector, "little"));
  put(pathTables + 3, rootPathTable(jolietSector, "big"));
  put(primarySector, layOutDirectory(primaryRecords(files, primary, date)));
  put(jolietSector, layOutDirectory(jolietRecords(files, joliet, date)));
  contents.forEach((content, index) => {
    if (content.length > 0) put(fileSectors[index] as number, content);
  });
  return image;
}

interface CheckedFile {
  readonly name: string;
  readonly shortName: string;
  readonly content: Uint8Array;
}

interface Layout {
  readonly rootSector: number;
  readonly rootBytes: number;
  readonly fileSectors: readonly number[];
}

function checkFiles({ volumeId, files, date }: Iso9660Input): readonly CheckedFile[] {
  const invalid = (message: string): ImageError =>
    new ImageError("IMAGE_INVALID_ARGUMENT", message);
  if (!VOLUME_ID.test(volumeId)) {
    throw invalid("a volume id is 1 to 16 letters, digits, spaces, or any of _ . -");
  }
  const year = date?.getUTCFullYear() ?? 2000;
  if (!(year >= 1900 && year <= 2155)) throw invalid("the date is not between 1900 and 2155");
  if (files.length > MAX_FILES) {
    throw new ImageError("IMAGE_TOO_LARGE", `a disc holds at most ${MAX_FILES} files`);
  }
  const names = files.map(({ name }) => name);
  names.forEach(checkIsoFileName);
  if (new Set(names).size < names.length) throw invalid("two files of a disc have the same name");
  const contents = files.map(({ content }) =>
    typeof content === "string" ? Buffer.from(content) : content,
  );
  const total = contents.reduce((sum, content) => sum + content.length, 0);
  if (total > MAX_CONTENT_BYTES) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `the files of a disc have ${total} bytes, more than ${MAX_CONTENT_BYTES}`,
    );
  }
  const shortNames = shortIsoNames(names);
  return contents.map((content, index) => ({
    name: names[index] as string,
    shortName: shortNames[index] as string,
    content,
  }));
}

function selfRecord(layout: Layout, identifier: 0 | 1, systemUse: Buffer): IsoDirectoryRecord {
  return {
    identifier: Buffer.from([identifier]),
    sector: layout.rootSector,
    bytes: layout.rootBytes,
    isDirectory: true,
    systemUse,
  };
}

function primaryRecords(files: readonly CheckedFile[], layout: Layout, date: Date): Buffer[] {
  return directoryRecords(files, layout, date, {
    identifierOf: ({ shortName }) => Buffer.from(shortName, "latin1"),
    systemUseOf: ({ name }) => rockRidgeFile(name, date),
    ownSystemUse: [rockRidgeDirectory(true, date), rockRidgeDirectory(false, date)],
  });
}

function jolietRecords(files: readonly CheckedFile[], layout: Layout, date: Date): Buffer[] {
  const none = Buffer.alloc(0);
  return directoryRecords(files, layout, date, {
    identifierOf: ({ name }) => ucs2(name),
    systemUseOf: () => none,
    ownSystemUse: [none, none],
  });
}

interface RecordStyle {
  identifierOf(file: CheckedFile): Buffer;
  systemUseOf(file: CheckedFile): Buffer;
  readonly ownSystemUse: readonly [Buffer, Buffer];
}

function directoryRecords(
  files: readonly CheckedFile[],
  layout: Layout,
  date: Date,
  style: RecordStyle,
): Buffer[] {
  const records = files
    .map((file, index): IsoDirectoryRecord => ({
      identifier: style.identifierOf(file),
      sector: layout.fileSectors[index] as number,
      bytes: file.content.length,
      isDirectory: false,
      systemUse: style.systemUseOf(file),
    }))
    .toSorted((left, right) => left.identifier.compare(right.identifier));
  return [
    selfRecord(layout, 0, style.ownSystemUse[0]),
    selfRecord(layout, 1, style.ownSystemUse[1]),
    ...records,
  ].map((record) => directoryRecord(record, date));
}
