import { DISK_FORMATS, type DiskFormat } from "../disk/disk-format.ts";
import { ImageError } from "../image-error.ts";
import { nodeCrypto } from "../lazy-builtins.ts";
import { normaliseChecksums, type Checksums } from "../http/checksum.ts";
import { parseHttpUrl } from "../http/parse-http-url.ts";
import { redactUrl } from "../http/redact-url.ts";
import type { HttpImageSource, ImageInfo, StoredImageSource } from "./image-store.ts";

/** Where an image came from, without secrets. */
export interface ImageOrigin {
  /** For people; user, password and query are left out. */
  readonly location: string;
  /** SHA-256 of the URL without user and password, or of what else tells the source from others. */
  readonly urlDigest: string;
  readonly checksum: Checksums;
}

/** What is stored beside an image. */
export interface ImageRecord {
  readonly version: 1;
  readonly info: ImageInfo;
  readonly origin: ImageOrigin;
}

/** @throws ImageError `IMAGE_INVALID_ARGUMENT` when URL or checksum is malformed. */
export function originOf(source: StoredImageSource): ImageOrigin {
  switch (source.type) {
    case "http":
      return httpOrigin(source);
    case "container":
      return {
        location: source.image,
        urlDigest: digestOf(`container ${source.image}`),
        checksum: {},
      };
    case "upload": {
      const checksum = normaliseChecksums(source.checksum ?? {});
      return { location: "an upload", urlDigest: digestOf(`upload ${source.id}`), checksum };
    }
    case "disk":
      return { location: "a disk", urlDigest: digestOf(`disk ${source.id}`), checksum: {} };
  }
}

function httpOrigin(source: HttpImageSource): ImageOrigin {
  const url = parseHttpUrl(source.url);
  const checksum = normaliseChecksums(source.checksum ?? {});
  const location = redactUrl(url);
  url.username = "";
  url.password = "";
  url.hash = "";
  return { location, urlDigest: digestOf(url.href), checksum };
}

function digestOf(identity: string): string {
  return nodeCrypto().createHash("sha256").update(identity).digest("hex");
}

/** Whether both origins stand for the same bytes. */
export function isSameOrigin(left: ImageOrigin, right: ImageOrigin): boolean {
  const leftSums = Object.entries(left.checksum);
  const rightSums = new Map(Object.entries(right.checksum));
  const common = leftSums.filter(([algorithm]) => rightSums.has(algorithm));
  if (common.length > 0) {
    return common.every(([algorithm, value]) => rightSums.get(algorithm) === value);
  }
  return leftSums.length === rightSums.size && left.urlDigest === right.urlDigest;
}

/** The record as text, in the form that {@link parseImageRecord} reads. */
export function formatImageRecord(record: ImageRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}

/** @throws ImageError `IMAGE_CORRUPT`. */
export function parseImageRecord(text: string, name: string): ImageRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(name, cause);
  }
  if (!isImageRecord(value)) throw damaged(name);
  return value;
}

function isImageRecord(value: unknown): value is ImageRecord {
  const record = value as ImageRecord | undefined;
  const { info, origin } = record ?? {};
  return (
    record?.version === 1 &&
    DISK_FORMATS.includes(info?.format as DiskFormat) &&
    typeof info?.cdrom === "boolean" &&
    Number.isSafeInteger(info.virtualSizeBytes) &&
    Number.isSafeInteger(info.storedBytes) &&
    typeof info.sha256 === "string" &&
    typeof origin?.location === "string" &&
    typeof origin.urlDigest === "string" &&
    typeof origin.checksum === "object"
  );
}

function damaged(name: string, cause?: unknown): ImageError {
  return new ImageError(
    "IMAGE_CORRUPT",
    `the metadata of image "${name}" is damaged; delete and import it again`,
    { cause },
  );
}
