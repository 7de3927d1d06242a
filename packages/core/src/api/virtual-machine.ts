import { conditionColumn, phaseColumn } from "./columns.ts";
import type { Defaulted, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import type { Affinity, Toleration, TopologySpreadConstraint } from "./placement-terms.ts";
import { admitReservedMetadata } from "./reserved-metadata.ts";
import { admitVirtualMachine } from "./virtual-machine-admission.ts";
import { setVirtualMachineDefaults } from "./virtual-machine-defaults.ts";
import { virtualMachineSchema } from "./virtual-machine-schema.ts";
import type { VirtualMachineStatus } from "./virtual-machine-status.ts";

/** When a VM runs. Source: the DVP user guide, "Run policy". */
export type RunPolicy = "AlwaysOn" | "AlwaysOff" | "Manual" | "AlwaysOnUnlessStoppedManually";

/** A virtual machine. */
export interface VirtualMachine extends Resource {
  readonly kind: "VirtualMachine";
  readonly spec: VirtualMachineSpec;
  readonly status?: VirtualMachineStatus;
}

/** Kinds of block devices. Disks are written by one VM, images are read by any number. */
export type BlockDeviceKind = "VirtualDisk" | "VirtualImage" | "ClusterVirtualImage";

/** A disk or an image that a VM uses. */
export interface BlockDeviceRef {
  readonly kind: BlockDeviceKind;
  readonly name: string;
  /** From 1. Default: the order of the list. */
  readonly bootOrder?: number;
}

/** How the guest is set up at its first start. */
export interface Provisioning {
  readonly type: "UserData" | "UserDataRef" | "SysprepRef";
  /** A cloud-init user-data document of at most 2,048 bytes. */
  readonly userData?: string;
  /** A Secret of type `provisioning.virtualization.deckhouse.io/cloud-init` with the key `userData`. */
  readonly userDataRef?: SecretRef;
  /** A Secret of type `provisioning.virtualization.deckhouse.io/sysprep` with the key `unattend.xml`. */
  readonly sysprepRef?: SecretRef;
}

/** Names a Secret of the same namespace. */
export interface SecretRef {
  readonly kind: "Secret";
  readonly name: string;
}

/** A network that a VM is connected to. */
export interface NetworkRef {
  /** Tells interfaces apart over changes; `Main` has 1, others are numbered from 2. Filled in. */
  readonly id?: number;
  readonly type: "Main" | "Network" | "ClusterNetwork";
  /** Of the Network or ClusterNetwork; `Main` has none. */
  readonly name?: string;
  /** Default: an address that lives as long as the VM. */
  readonly virtualMachineMACAddressName?: string;
  /** Default: an address of the network, if it gives out any. */
  readonly ipAddressName?: string;
}

/** Operating systems by what they need of the virtual hardware. */
export type MachineOsType = "Generic" | "Windows" | "Legacy";

/** How a guest is started. */
export type Bootloader = "BIOS" | "EFI" | "EFIWithSecureBoot";

/** Whether a live migration may slow the guest down, and whether an operation may say otherwise. */
export type LiveMigrationPolicy = "AlwaysSafe" | "PreferSafe" | "AlwaysForced" | "PreferForced";

/** What a user wants of a {@link VirtualMachine}. */
export interface VirtualMachineSpec {
  /** Default: the class that is marked as default. */
  readonly virtualMachineClassName: string;
  /** Default `AlwaysOnUnlessStoppedManually`. */
  readonly runPolicy: RunPolicy;
  readonly cpu: {
    readonly cores: number;
    /**
     * `1%` to `100%` of each core that is set aside for the VM, or `Auto`. Default: what the sizing policy of the class
     * says, else `100%`.
     */
    readonly coreFraction: string;
  };
  readonly memory: { readonly size: string };
  /** In boot order, 1 to 16. */
  readonly blockDeviceRefs: readonly BlockDeviceRef[];
  readonly provisioning?: Provisioning;
  /** Default: an address of the configured ranges that lives as long as the VM. */
  readonly virtualMachineIPAddressName?: string;
  /** Default: `Main` alone. */
  readonly networks?: readonly NetworkRef[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly affinity?: Affinity;
  readonly tolerations?: readonly Toleration[];
  readonly topologySpreadConstraints?: readonly TopologySpreadConstraint[];
  readonly priorityClassName?: string;
  /** Seconds that a guest gets to shut down before it is powered off. Default 60. */
  readonly terminationGracePeriodSeconds: number;
  /** Virtio devices. Default true; without, devices that old operating systems know. */
  readonly enableParavirtualization: boolean;
  /** Default `Generic`. */
  readonly osType: MachineOsType;
  /** Default `BIOS`. */
  readonly bootloader: Bootloader;
  /** Default `PreferSafe`. */
  readonly liveMigrationPolicy: LiveMigrationPolicy;
  readonly disruptions: {
    /** Who restarts the VM when a change needs it: the user, or the platform at once. Default `Manual`. */
    readonly restartApprovalMode: "Manual" | "Automatic";
  };
  /** At most 8. */
  readonly usbDevices?: readonly { readonly name: string }[];
  /** At most 16. */
  readonly gpus?: readonly { readonly gpuClassName: string }[];
}

/** What a user writes of the spec of a {@link VirtualMachine}. */
export type VirtualMachineSpecInput = Defaulted<
  Omit<VirtualMachineSpec, "cpu" | "memory" | "provisioning" | "disruptions">,
  | "virtualMachineClassName"
  | "runPolicy"
  | "terminationGracePeriodSeconds"
  | "enableParavirtualization"
  | "osType"
  | "bootloader"
  | "liveMigrationPolicy"
> & {
  readonly cpu: Defaulted<VirtualMachineSpec["cpu"], "coreFraction">;
  readonly memory: { readonly size: string | number };
  readonly provisioning?: ProvisioningInput;
  readonly disruptions?:
    { readonly restartApprovalMode?: "Manual" | "Automatic" | undefined } | undefined;
};

/** What a user writes of a {@link VirtualMachine}. */
export interface VirtualMachineInput {
  readonly spec: VirtualMachineSpecInput;
}

/** What a user writes of {@link Provisioning}. */
export type ProvisioningInput = Omit<Provisioning, "userDataRef" | "sysprepRef"> & {
  readonly userDataRef?: Defaulted<SecretRef, "kind">;
  readonly sysprepRef?: Defaulted<SecretRef, "kind">;
};

/** The kind {@link VirtualMachine}. */
export const VIRTUAL_MACHINE: KindDefinition<VirtualMachine, VirtualMachineInput> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachine",
  plural: "virtualmachines",
  shortNames: ["vm"],
  categories: ["all", "virtualization"],
  namespaced: true,
  maxNameLength: 63,
  schema: virtualMachineSchema,
  setDefaults: setVirtualMachineDefaults,
  admit: admitVirtualMachine,
  admitMetadata: (next, { previous }) => admitReservedMetadata(next, previous),
  columns: [
    phaseColumn(),
    { name: "Uptime", value: (vm) => vm.status?.stats?.lastStartTime, type: "date" },
    { name: "Cores", value: (vm) => vm.status?.resources?.cpu.cores.toString(), wide: true },
    { name: "CoreFraction", value: (vm) => vm.status?.resources?.cpu.coreFraction, wide: true },
    { name: "Memory", value: (vm) => vm.status?.resources?.memory.size, wide: true },
    conditionColumn("Need restart", "AwaitingRestartToApplyConfiguration", { wide: true }),
    conditionColumn("Agent", "AgentReady", { wide: true }),
    conditionColumn("Migratable", "Migratable", { wide: true }),
    { name: "Node", value: (vm) => vm.status?.nodeName },
    { name: "IPAddress", value: (vm) => vm.status?.ipAddress },
  ],
};
