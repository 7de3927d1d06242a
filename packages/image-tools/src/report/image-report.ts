import type { DiskFormat } from "../disk/disk-format.ts";
import type { ImageWrapper } from "../detect/detector.ts";
import type { ImageErrorCode } from "../image-error-codes.ts";

/** What an image is, as far as could be found out without reading all of it. */
export interface ImageReport {
  /** Absent when it is not known, for example of what is no image. */
  readonly format?: DiskFormat | "ova" | "oci";
  /** What is around the image, outermost first. */
  readonly wrappers: readonly (ImageWrapper | "tar")[];
  /**
   * Size of the disk as its machine sees it, of all disks of an OVA together. Absent where only
   * decompressing everything would tell.
   */
  readonly virtualSizeBytes?: number;
  /** Length of the file as it is; absent for a stream of unknown length. */
  readonly storedBytes?: number;
  /** Bytes of the disk that are backed by data; absent where not all tables were read. */
  readonly allocatedBytes?: number;
  /** Whether it is an optical disc. */
  readonly cdrom: boolean;
  readonly boot: BootHints;
  /** What is odd and yet harmless, each a sentence. */
  readonly warnings: readonly string[];
  /** Why the image must not be used; absent when nothing was found against it. */
  readonly unsafe?: UnsafeReason;
}

/** Signs that a machine can boot from the disk. False also means that nothing was looked at. */
export interface BootHints {
  /** Boot code in the first sector, or an El Torito entry for x86. */
  readonly bios: boolean;
  /** An EFI system partition, or an El Torito entry for EFI. */
  readonly uefi: boolean;
}

/** The first reason found against an image. */
export interface UnsafeReason {
  readonly code: ImageErrorCode;
  readonly message: string;
}
