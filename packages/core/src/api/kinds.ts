import type { KindDefinition } from "./kind.ts";
import {
  type Node,
  type NodeInput,
  NODE,
  type Secret,
  type SecretInput,
  SECRET,
  STORAGE_CLASS,
  type StorageClass,
  type StorageClassInput,
} from "./kubernetes-kinds.ts";
import type { Resource } from "./meta.ts";
import { MODULE_CONFIG, type ModuleConfig, type ModuleConfigInput } from "./module-config.ts";
import { VIRTUAL_DISK, type VirtualDisk, type VirtualDiskInput } from "./virtual-disk.ts";
import {
  CLUSTER_VIRTUAL_IMAGE,
  type ClusterVirtualImage,
  type ClusterVirtualImageInput,
  VIRTUAL_IMAGE,
  type VirtualImage,
  type VirtualImageInput,
} from "./virtual-image.ts";
import {
  VIRTUAL_MACHINE_CLASS,
  type VirtualMachineClass,
  type VirtualMachineClassInput,
} from "./virtual-machine-class.ts";
import {
  VIRTUAL_MACHINE_IP_ADDRESS,
  VIRTUAL_MACHINE_IP_ADDRESS_LEASE,
  type VirtualMachineIPAddress,
  type VirtualMachineIPAddressInput,
  type VirtualMachineIPAddressLease,
  type VirtualMachineIPAddressLeaseInput,
} from "./virtual-machine-ip-address.ts";
import {
  VIRTUAL_MACHINE,
  type VirtualMachine,
  type VirtualMachineInput,
} from "./virtual-machine.ts";

/** Every kind by its name. */
export interface Kinds {
  readonly ClusterVirtualImage: ClusterVirtualImage;
  readonly ModuleConfig: ModuleConfig;
  readonly Node: Node;
  readonly Secret: Secret;
  readonly StorageClass: StorageClass;
  readonly VirtualDisk: VirtualDisk;
  readonly VirtualImage: VirtualImage;
  readonly VirtualMachine: VirtualMachine;
  readonly VirtualMachineClass: VirtualMachineClass;
  readonly VirtualMachineIPAddress: VirtualMachineIPAddress;
  readonly VirtualMachineIPAddressLease: VirtualMachineIPAddressLease;
}

/** What users write of each kind, besides `apiVersion`, `kind` and `metadata`. */
export interface KindInputs {
  readonly ClusterVirtualImage: ClusterVirtualImageInput;
  readonly ModuleConfig: ModuleConfigInput;
  readonly Node: NodeInput;
  readonly Secret: SecretInput;
  readonly StorageClass: StorageClassInput;
  readonly VirtualDisk: VirtualDiskInput;
  readonly VirtualImage: VirtualImageInput;
  readonly VirtualMachine: VirtualMachineInput;
  readonly VirtualMachineClass: VirtualMachineClassInput;
  readonly VirtualMachineIPAddress: VirtualMachineIPAddressInput;
  readonly VirtualMachineIPAddressLease: VirtualMachineIPAddressLeaseInput;
}

/** The name of a kind. */
export type Kind = keyof Kinds;

/** The definitions of all kinds. */
export const KINDS: { readonly [K in Kind]: KindDefinition<Kinds[K], KindInputs[K]> } = {
  ClusterVirtualImage: CLUSTER_VIRTUAL_IMAGE,
  ModuleConfig: MODULE_CONFIG,
  Node: NODE,
  Secret: SECRET,
  StorageClass: STORAGE_CLASS,
  VirtualDisk: VIRTUAL_DISK,
  VirtualImage: VIRTUAL_IMAGE,
  VirtualMachine: VIRTUAL_MACHINE,
  VirtualMachineClass: VIRTUAL_MACHINE_CLASS,
  VirtualMachineIPAddress: VIRTUAL_MACHINE_IP_ADDRESS,
  VirtualMachineIPAddressLease: VIRTUAL_MACHINE_IP_ADDRESS_LEASE,
};

/** The definition of the kind with this name, plural or short name, in any case; `undefined` when there is none. */
export function findKind(name: string): KindDefinition<Resource> | undefined {
  const wanted = name.toLowerCase();
  return (Object.values(KINDS) as unknown as KindDefinition<Resource>[]).find(
    ({ kind, plural, shortNames }) =>
      kind.toLowerCase() === wanted || plural === wanted || shortNames.includes(wanted),
  );
}
