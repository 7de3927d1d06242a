import { ImageError } from "../image-error.ts";

/** Tar is made of blocks of this size. */
export const TAR_BLOCK_BYTES = 512;

/** The fields of one header block that matter for reading. */
export interface TarHeader {
  readonly name: string;
  readonly sizeBytes: number;
  /** The type flag, one character; `0` for what old archives leave empty. */
  readonly flag: string;
}

/**
 * Reads a header block; `undefined` for a block of zeros, which ends an archive.
 *
 * @throws ImageError `IMAGE_CORRUPT` for a wrong checksum or an impossible size.
 * @see POSIX.1-2024, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"
 */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  if (!hasValidChecksum(block)) throw corrupt("a header has a wrong checksum");
  const name = textField(block, 0, 100);
  const isPosix = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? textField(block, 345, 155) : "";
  const flag = String.fromCharCode(block[156] as number);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    sizeBytes: sizeField(block, 124, 12),
    flag: flag === "\0" ? "0" : flag,
  };
}

/** The text of a field that ends at its first NUL. */
export function textField(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? length : end);
}

function hasValidChecksum(block: Buffer): boolean {
  let sum = 0;
  for (let index = 0; index < TAR_BLOCK_BYTES; index += 1) {
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] as number);
  }
  return octal(textField(block, 148, 8)) === sum;
}

function sizeField(block: Buffer, offset: number, length: number): number {
  const first = block[offset] as number;
  const size =
    first >= 0x80 ? base256(block, offset, length) : octal(textField(block, offset, length));
  if (size === undefined || !Number.isSafeInteger(size)) {
    throw corrupt("a member has an impossible size");
  }
  return size;
}

/** GNU tar's big-endian binary numbers; negative ones are no size. */
function base256(block: Buffer, offset: number, length: number): number | undefined {
  if (block[offset] !== 0x80) return undefined;
  let value = 0;
  for (let index = 1; index < length; index += 1) {
    value = value * 256 + (block[offset + index] as number);
  }
  return value;
}

function octal(text: string): number | undefined {
  const digits = text.trim();
  if (digits === "") return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

/** The error for a broken archive. */
export function corrupt(reason: string): ImageError {
  return new ImageError("IMAGE_CORRUPT", `the tar archive is corrupt: ${reason}`);
}
