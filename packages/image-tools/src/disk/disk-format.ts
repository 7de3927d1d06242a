/** Formats of disk images that can be read. An `iso` is an optical disc, of ISO 9660 or UDF. */
export type DiskFormat = "qcow2" | "raw" | "iso" | "vmdk" | "vdi" | "vhd" | "vhdx";

/** All of {@link DiskFormat}. */
export const DISK_FORMATS: readonly DiskFormat[] = [
  "qcow2",
  "raw",
  "iso",
  "vmdk",
  "vdi",
  "vhd",
  "vhdx",
];
