import type { BlockSource } from "./block-source.ts";

/** One run of a guest: which VM, and the how-manieth start of it. */
export interface GuestRef {
  /** `metadata.uid` of the VM. */
  readonly uid: string;
  /** Raised at every start of the VM; a hypervisor refuses one that is lower than what it has seen. */
  readonly incarnation: number;
}

/** The CPU that a guest sees. */
export type GuestCpuModel =
  | { readonly mode: "host-model" }
  | { readonly mode: "host-passthrough" }
  | { readonly mode: "model"; readonly model: string }
  /** A plain 64-bit CPU with these features; a host without one of them cannot run the guest. */
  | { readonly mode: "features"; readonly features: readonly string[] };

/** What a guest boots with. */
export type Firmware = "bios" | "efi" | "efi-secure-boot";

/** What a guest's devices are made for. */
export type OsType = "generic" | "windows" | "legacy";

/** The sort of computer that a guest is. */
export interface GuestMachine {
  readonly osType: OsType;
  readonly firmware: Firmware;
  /** True: virtio devices. False: devices that every operating system knows, such as SATA and e1000. */
  readonly paravirtualized: boolean;
  readonly tpm: boolean;
}

/** A disk or CD-ROM of a guest. */
export interface GuestDisk {
  /** Unique within the guest, such as `vd-linux-disk`. */
  readonly name: string;
  /** What the guest reads as serial number; at most 20 letters and digits. */
  readonly serial: string;
  readonly source: BlockSource;
  readonly device: "disk" | "cdrom";
  readonly readOnly: boolean;
  /** Position in the boot order, from 1; absent for disks that are not booted from. */
  readonly bootOrder?: number;
}

/** A network interface of a guest. */
export interface GuestInterface {
  /** The network's range, of IPv4 or IPv6; the hypervisor gives hosts a network for it. */
  readonly cidr: string;
  /** The router's address in that range; absent for a range of one or two addresses, which has none to spare. */
  readonly gateway?: string;
  /** Lower case with colons. */
  readonly mac: string;
  /** The address that the guest must get. */
  readonly address: string;
}

/** Everything that is needed to build a guest: no reference is left to look up. */
export interface GuestSpec extends GuestRef {
  readonly namespace: string;
  readonly name: string;
  /** Of the VM: a cluster that schedules by itself places other guests by them. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly machine: GuestMachine;
  readonly cpu: {
    readonly sockets: number;
    readonly coresPerSocket: number;
    /** Share of each core that is set aside, 1 to 100; a hypervisor that can holds the guest to it. */
    readonly fractionPercent: number;
    readonly model: GuestCpuModel;
  };
  readonly memoryBytes: number;
  readonly disks: readonly GuestDisk[];
  readonly interfaces: readonly GuestInterface[];
  /** Documents for cloud-init's NoCloud source. */
  readonly cloudInit?: { readonly userData: string; readonly metaData: string };
  /** Files, by name, of a CD-ROM that Windows Setup finds, such as `autounattend.xml`. */
  readonly answerFiles?: Readonly<Record<string, string>>;
}
