import { ImageError } from "../image-error.ts";
import type { RandomAccessReader } from "../io/random-access-reader.ts";
import type { DiskFormat } from "./disk-format.ts";
import type { DiskImage } from "./disk-image.ts";

/** Gives the reader of a file that an image names; the image disposes it. */
export type ResolveExtent = (name: string) => Promise<RandomAccessReader>;

/** Limits and ways in which a {@link DiskOpener} opens, with the defaults filled in. */
export interface DiskOpenerOptions {
  readonly maxVirtualSizeBytes: number;
  readonly maxTableBytes: number;
  /** Whether to read only the headers now, and tables as they are needed. */
  readonly lazy: boolean;
  readonly resolveExtent?: ResolveExtent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens an image of one format and checks its structure. Leaves the reader open on failure; on
 * success the image owns it.
 */
export type DiskOpener = (
  reader: RandomAccessReader,
  options: DiskOpenerOptions,
) => Promise<DiskImage>;

/** Makes the errors of one format. */
export interface FormatErrors {
  corrupt(reason: string): ImageError;
  truncated(reason: string): ImageError;
  unsafe(reason: string): ImageError;
  unsupported(reason: string): ImageError;
  tooLarge(reason: string): ImageError;
}

/** Errors that name `format`. The reasons are half sentences, as in "it is corrupt: …". */
export function formatErrors(format: DiskFormat): FormatErrors {
  const image = `the ${format} image`;
  return {
    corrupt: (reason) => new ImageError("IMAGE_CORRUPT", `${image} is corrupt: ${reason}`),
    truncated: (reason) => new ImageError("IMAGE_TRUNCATED", `${image} is cut short: ${reason}`),
    unsafe: (reason) => new ImageError("IMAGE_UNSAFE", `${image} is not safe: ${reason}`),
    unsupported: (reason) =>
      new ImageError("IMAGE_UNSUPPORTED", `${image} cannot be read: ${reason}`),
    tooLarge: (reason) => new ImageError("IMAGE_TOO_LARGE", `${image} is too large: ${reason}`),
  };
}

/**
 * Bytes `offset` to `offset + length` of a structure of the image.
 *
 * @throws ImageError `IMAGE_TRUNCATED` when they are not all there; `what` names them.
 */
export async function readStructure(
  reader: RandomAccessReader,
  errors: FormatErrors,
  what: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  if (offset + length > reader.sizeBytes) throw errors.truncated(`${what} lies beyond its end`);
  return reader.read(offset, length);
}

/** @throws ImageError `IMAGE_TOO_LARGE` when the disk or a table exceeds its limit. */
export function requireWithin(
  errors: FormatErrors,
  what: string,
  bytes: number,
  maxBytes: number,
): void {
  if (bytes <= maxBytes) return;
  throw errors.tooLarge(`${what} exceeds the limit of ${maxBytes} bytes`);
}
