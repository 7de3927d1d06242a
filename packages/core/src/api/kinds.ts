import type { KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { EVENT, type Event, type EventInput } from "./event.ts";
import { MODULE_CONFIG, type ModuleConfig, type ModuleConfigInput } from "./module-config.ts";
import { NAMESPACE, type Namespace, type NamespaceInput } from "./namespace.ts";
import { NODE, type Node, type NodeInput } from "./node.ts";
import { SECRET, type Secret, type SecretInput } from "./secret.ts";
import { STORAGE_CLASS, type StorageClass, type StorageClassInput } from "./storage-class.ts";
import { VIRTUAL_DISK, type VirtualDisk, type VirtualDiskInput } from "./virtual-disk.ts";
import {
  VIRTUAL_DISK_SNAPSHOT,
  type VirtualDiskSnapshot,
  type VirtualDiskSnapshotInput,
} from "./virtual-disk-snapshot.ts";
import {
  CLUSTER_VIRTUAL_IMAGE,
  type ClusterVirtualImage,
  type ClusterVirtualImageInput,
  VIRTUAL_IMAGE,
  type VirtualImage,
  type VirtualImageInput,
} from "./virtual-image.ts";
import {
  VIRTUAL_MACHINE,
  type VirtualMachine,
  type VirtualMachineInput,
} from "./virtual-machine.ts";
import {
  VIRTUAL_MACHINE_BLOCK_DEVICE_ATTACHMENT,
  type VirtualMachineBlockDeviceAttachment,
  type VirtualMachineBlockDeviceAttachmentInput,
} from "./virtual-machine-block-device-attachment.ts";
import {
  VIRTUAL_MACHINE_CLASS,
  type VirtualMachineClass,
  type VirtualMachineClassInput,
} from "./virtual-machine-class.ts";
import {
  VIRTUAL_MACHINE_IP_ADDRESS,
  type VirtualMachineIPAddress,
  type VirtualMachineIPAddressInput,
  VIRTUAL_MACHINE_IP_ADDRESS_LEASE,
  type VirtualMachineIPAddressLease,
  type VirtualMachineIPAddressLeaseInput,
} from "./virtual-machine-ip-address.ts";
import {
  VIRTUAL_MACHINE_MAC_ADDRESS,
  type VirtualMachineMACAddress,
  type VirtualMachineMACAddressInput,
  VIRTUAL_MACHINE_MAC_ADDRESS_LEASE,
  type VirtualMachineMACAddressLease,
  type VirtualMachineMACAddressLeaseInput,
} from "./virtual-machine-mac-address.ts";
import {
  VIRTUAL_MACHINE_OPERATION,
  type VirtualMachineOperation,
  type VirtualMachineOperationInput,
} from "./virtual-machine-operation.ts";
import {
  VIRTUAL_MACHINE_POOL,
  type VirtualMachinePool,
  type VirtualMachinePoolInput,
} from "./virtual-machine-pool.ts";
import {
  VIRTUAL_MACHINE_SNAPSHOT,
  type VirtualMachineSnapshot,
  type VirtualMachineSnapshotInput,
} from "./virtual-machine-snapshot.ts";
import {
  VIRTUAL_MACHINE_SNAPSHOT_OPERATION,
  type VirtualMachineSnapshotOperation,
  type VirtualMachineSnapshotOperationInput,
} from "./virtual-machine-snapshot-operation.ts";
import {
  VOLUME_SNAPSHOT_CLASS,
  type VolumeSnapshotClass,
  type VolumeSnapshotClassInput,
} from "./volume-snapshot-class.ts";

/** Every kind by its name. */
export interface Kinds {
  readonly ClusterVirtualImage: ClusterVirtualImage;
  readonly Event: Event;
  readonly ModuleConfig: ModuleConfig;
  readonly Namespace: Namespace;
  readonly Node: Node;
  readonly Secret: Secret;
  readonly StorageClass: StorageClass;
  readonly VirtualDisk: VirtualDisk;
  readonly VirtualDiskSnapshot: VirtualDiskSnapshot;
  readonly VirtualImage: VirtualImage;
  readonly VirtualMachine: VirtualMachine;
  readonly VirtualMachineBlockDeviceAttachment: VirtualMachineBlockDeviceAttachment;
  readonly VirtualMachineClass: VirtualMachineClass;
  readonly VirtualMachineIPAddress: VirtualMachineIPAddress;
  readonly VirtualMachineIPAddressLease: VirtualMachineIPAddressLease;
  readonly VirtualMachineMACAddress: VirtualMachineMACAddress;
  readonly VirtualMachineMACAddressLease: VirtualMachineMACAddressLease;
  readonly VirtualMachineOperation: VirtualMachineOperation;
  readonly VirtualMachinePool: VirtualMachinePool;
  readonly VirtualMachineSnapshot: VirtualMachineSnapshot;
  readonly VirtualMachineSnapshotOperation: VirtualMachineSnapshotOperation;
  readonly VolumeSnapshotClass: VolumeSnapshotClass;
}

/** What users write of each kind, besides `apiVersion`, `kind` and `metadata`. */
export interface KindInputs {
  readonly ClusterVirtualImage: ClusterVirtualImageInput;
  readonly Event: EventInput;
  readonly ModuleConfig: ModuleConfigInput;
  readonly Namespace: NamespaceInput;
  readonly Node: NodeInput;
  readonly Secret: SecretInput;
  readonly StorageClass: StorageClassInput;
  readonly VirtualDisk: VirtualDiskInput;
  readonly VirtualDiskSnapshot: VirtualDiskSnapshotInput;
  readonly VirtualImage: VirtualImageInput;
  readonly VirtualMachine: VirtualMachineInput;
  readonly VirtualMachineBlockDeviceAttachment: VirtualMachineBlockDeviceAttachmentInput;
  readonly VirtualMachineClass: VirtualMachineClassInput;
  readonly VirtualMachineIPAddress: VirtualMachineIPAddressInput;
  readonly VirtualMachineIPAddressLease: VirtualMachineIPAddressLeaseInput;
  readonly VirtualMachineMACAddress: VirtualMachineMACAddressInput;
  readonly VirtualMachineMACAddressLease: VirtualMachineMACAddressLeaseInput;
  readonly VirtualMachineOperation: VirtualMachineOperationInput;
  readonly VirtualMachinePool: VirtualMachinePoolInput;
  readonly VirtualMachineSnapshot: VirtualMachineSnapshotInput;
  readonly VirtualMachineSnapshotOperation: VirtualMachineSnapshotOperationInput;
  readonly VolumeSnapshotClass: VolumeSnapshotClassInput;
}

/** The name of a kind. */
export type Kind = keyof Kinds;

/** The definitions of all kinds. */
export const KINDS: { readonly [K in Kind]: KindDefinition<Kinds[K], KindInputs[K]> } = {
  ClusterVirtualImage: CLUSTER_VIRTUAL_IMAGE,
  Event: EVENT,
  ModuleConfig: MODULE_CONFIG,
  Namespace: NAMESPACE,
  Node: NODE,
  Secret: SECRET,
  StorageClass: STORAGE_CLASS,
  VirtualDisk: VIRTUAL_DISK,
  VirtualDiskSnapshot: VIRTUAL_DISK_SNAPSHOT,
  VirtualImage: VIRTUAL_IMAGE,
  VirtualMachine: VIRTUAL_MACHINE,
  VirtualMachineBlockDeviceAttachment: VIRTUAL_MACHINE_BLOCK_DEVICE_ATTACHMENT,
  VirtualMachineClass: VIRTUAL_MACHINE_CLASS,
  VirtualMachineIPAddress: VIRTUAL_MACHINE_IP_ADDRESS,
  VirtualMachineIPAddressLease: VIRTUAL_MACHINE_IP_ADDRESS_LEASE,
  VirtualMachineMACAddress: VIRTUAL_MACHINE_MAC_ADDRESS,
  VirtualMachineMACAddressLease: VIRTUAL_MACHINE_MAC_ADDRESS_LEASE,
  VirtualMachineOperation: VIRTUAL_MACHINE_OPERATION,
  VirtualMachinePool: VIRTUAL_MACHINE_POOL,
  VirtualMachineSnapshot: VIRTUAL_MACHINE_SNAPSHOT,
  VirtualMachineSnapshotOperation: VIRTUAL_MACHINE_SNAPSHOT_OPERATION,
  VolumeSnapshotClass: VOLUME_SNAPSHOT_CLASS,
};

/** The definition of the kind with this name, plural or short name, in any case; `undefined` when there is none. */
export function findKind(name: string): KindDefinition<Resource> | undefined {
  const wanted = name.toLowerCase();
  return (Object.values(KINDS) as unknown as KindDefinition<Resource>[]).find(
    ({ kind, plural, shortNames }) =>
      kind.toLowerCase() === wanted || plural === wanted || shortNames.includes(wanted),
  );
}
