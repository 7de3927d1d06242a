/** What an OVF descriptor says, whatever dialect it is written in. */
export interface OvfDescription {
  /** Version of the standard, as its namespace tells. */
  readonly version: "0.9" | "1" | "2";
  readonly files: readonly OvfFile[];
  readonly disks: readonly OvfDisk[];
  readonly networks: readonly OvfNetwork[];
  readonly systems: readonly OvfSystem[];
  /** What could not be understood and was left out, each a sentence. */
  readonly warnings: readonly string[];
}

/** A file that belongs to the package. */
export interface OvfFile {
  readonly id: string;
  /** Relative path, without `..`; a chunked file lies in `href.000000000` and following. */
  readonly href: string;
  readonly sizeBytes?: number;
  /** `gzip` and the like; absent when the file is stored as it is. */
  readonly compression?: string;
  readonly chunkSizeBytes?: number;
}

/** A virtual disk. */
export interface OvfDisk {
  readonly id: string;
  /** The {@link OvfFile.id} of its content; absent for an empty disk. */
  readonly fileId?: string;
  /** Size of the disk as its machine sees it; absent when a property is to tell it and does not. */
  readonly capacityBytes?: number;
  /** URI that names the format, such as that of VMDK. */
  readonly format?: string;
  /** The disk that this one is a difference to. */
  readonly parentId?: string;
}

/** A network that adapters connect to. */
export interface OvfNetwork {
  readonly name: string;
  readonly description?: string;
}

/** A virtual machine. */
export interface OvfSystem {
  readonly id: string;
  readonly name?: string;
  readonly operatingSystem?: OvfOperatingSystem;
  /** Such as `vmx-13` or `virtualbox-2.2`. */
  readonly hardwareType?: string;
  readonly firmware?: "bios" | "efi";
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly controllers: readonly OvfController[];
  readonly drives: readonly OvfDrive[];
  readonly networkAdapters: readonly OvfNetworkAdapter[];
}

/** The guest's operating system. */
export interface OvfOperatingSystem {
  /** Number of the CIM list. */
  readonly id?: number;
  readonly description?: string;
}

/** A controller that drives hang on. */
export interface OvfController {
  readonly id: string;
  readonly kind: "ide" | "scsi" | "sata" | "other";
  /** Such as `lsilogic` or `AHCI`. */
  readonly model?: string;
}

/** A disk, CD-ROM or floppy drive. */
export interface OvfDrive {
  readonly id: string;
  readonly kind: "disk" | "cdrom" | "floppy";
  /** The {@link OvfDisk.id} that it holds. */
  readonly diskId?: string;
  /** The {@link OvfFile.id} that it holds, for a disc image. */
  readonly fileId?: string;
  readonly controllerId?: string;
  /** Its place on the controller. */
  readonly address?: number;
}

/** A network adapter. */
export interface OvfNetworkAdapter {
  readonly id: string;
  readonly name?: string;
  /** Such as `E1000` or `VmxNet3`. */
  readonly model?: string;
  /** The {@link OvfNetwork.name} that it is connected to. */
  readonly network?: string;
  /** Lower case, with colons. */
  readonly macAddress?: string;
}
