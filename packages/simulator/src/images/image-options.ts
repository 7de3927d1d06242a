import type { ImageChecksum, SparseExtent } from "@polyvisor/core";

/** An image that is served at a URL, or as a container image. */
export interface ImageOptions {
  /** Of the file as it is served. Default 600 MiB. */
  readonly sizeBytes?: number;
  /** Of the disk inside. Default 2.5 GiB, for an ISO image its size. */
  readonly virtualSizeBytes?: number;
  /** Default `qcow2`; `iso` makes a CD-ROM of it. */
  readonly format?: "qcow2" | "raw" | "iso" | "vmdk" | "vdi" | "vhdx";
  /** Default 100 MiB/s. */
  readonly bytesPerSecond?: number;
  /** Digests of the file as it is served. Default: made up, and the same in every run. */
  readonly checksum?: ImageChecksum;
  /** What the disk inside holds. Default: a little that is made up. */
  readonly extents?: readonly SparseExtent[];
  /** What must be in the credentials of whoever fetches it. Default: nothing. */
  readonly login?: { readonly username: string; readonly password: string };
  /** The status with which it is answered instead. */
  readonly status?: number;
}
