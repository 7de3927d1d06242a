export { type Condition, findCondition } from "./api/conditions.ts";
export type {
  Checksum,
  DataSource,
  HttpDataSource,
  ObjectRefDataSource,
} from "./api/data-source.ts";
export type { Kind, KindInputs, Kinds } from "./api/kinds.ts";
export type {
  Node,
  NodeInput,
  NodeStatus,
  Secret,
  SecretInput,
  StorageClass,
  StorageClassInput,
} from "./api/kubernetes-kinds.ts";
export type { ObjectMeta, ObjectMetaInput, OwnerReference, Resource } from "./api/meta.ts";
export type {
  ModuleConfig,
  ModuleConfigInput,
  ModuleSettings,
  ModuleSettingsInput,
} from "./api/module-config.ts";
export type { FieldSelector, LabelSelector, LabelSelectorRequirement } from "./api/selectors.ts";
export type {
  VirtualDisk,
  VirtualDiskInput,
  VirtualDiskSpec,
  VirtualDiskStatus,
} from "./api/virtual-disk.ts";
export type {
  AnyVirtualImage,
  ClusterVirtualImage,
  ClusterVirtualImageInput,
  ClusterVirtualImageSpec,
  ImageStatus,
  VirtualImage,
  VirtualImageInput,
  VirtualImageSpec,
} from "./api/virtual-image.ts";
export type {
  ClassCpu,
  VirtualMachineClass,
  VirtualMachineClassInput,
  VirtualMachineClassSpec,
  VirtualMachineClassStatus,
} from "./api/virtual-machine-class.ts";
export type {
  VirtualMachineIPAddress,
  VirtualMachineIPAddressInput,
  VirtualMachineIPAddressLease,
  VirtualMachineIPAddressLeaseInput,
  VirtualMachineIPAddressLeaseSpec,
  VirtualMachineIPAddressLeaseStatus,
  VirtualMachineIPAddressSpec,
  VirtualMachineIPAddressStatus,
} from "./api/virtual-machine-ip-address.ts";
export type {
  BlockDeviceRef,
  GuestRecord,
  GuestStopReason,
  Provisioning,
  ProvisioningInput,
  RunPolicy,
  VirtualMachine,
  VirtualMachineInput,
  VirtualMachinePhase,
  VirtualMachineSpec,
  VirtualMachineStatus,
} from "./api/virtual-machine.ts";
export type { Backend } from "./backend/backend.ts";
export type { BlockSource, BlockSourceType } from "./backend/block-source.ts";
export type {
  Firmware,
  GuestMachine,
  OsType,
  GuestCpuModel,
  GuestDisk,
  GuestInterface,
  GuestRef,
  GuestSpec,
} from "./backend/guest-spec.ts";
export type {
  ByteStream,
  Consoles,
  GuestList,
  GuestState,
  HostState,
  Hypervisor,
  HypervisorCapabilities,
  HypervisorEvent,
  GuestLocation,
  StopMode,
  StopReason,
} from "./backend/hypervisor.ts";
export type { GuestAgent, GuestAgentInfo } from "./backend/guest-agent.ts";
export type {
  Affinity,
  AffinityTerm,
  MachineAffinity,
  NodeAffinity,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Taint,
  Toleration,
  TopologySpreadConstraint,
} from "./api/placement-terms.ts";
export type { Fencing, PowerState } from "./backend/fencing.ts";
export type { Hotplug } from "./backend/hotplug.ts";
export type { LiveMigration, MigrationRequest, MigrationState } from "./backend/live-migration.ts";
export type { Placement, PlacementConstraints } from "./backend/placement.ts";
export type {
  ContainerImageSource,
  DiskImageSource,
  HttpImageSource,
  ImageChecksum,
  ImageSource,
  UploadImageSource,
  ImageImportProgress,
  ImageInfo,
  ImageStore,
} from "./backend/image-store.ts";
export type { SparseExtent, SparseStream } from "./backend/sparse-stream.ts";
export type {
  Storage,
  StorageCapabilities,
  StorageClassInfo,
  AccessMode,
  VolumeContent,
  VolumeExpansion,
  VolumeMode,
  VolumeSnapshotSpec,
  VolumeSnapshots,
  VolumeSnapshotState,
  VolumeSource,
  VolumeSpec,
  VolumeState,
  VolumeUse,
} from "./backend/storage.ts";
export { createPlatform, type PlatformOptions } from "./platform/create-platform.ts";
export type { AppliedResource, Platform } from "./platform/platform.ts";
export type {
  Applied,
  ManifestOf,
  MergePatch,
  NamespaceOptions,
  ResourceClient,
} from "./platform/resource-client.ts";
export { resourceTable, type ResourceTable } from "./platform/resource-table.ts";
export type { VirtualMachineClient } from "./platform/virtual-machine-client.ts";
export type { WaitGoal } from "./platform/wait-for.ts";
export { memoryStore, type MemoryStoreOptions } from "./store/memory-store.ts";
export type {
  DeletePreconditions,
  ListOptions,
  NewResource,
  ResourceList,
  ResourceName,
  ResourceStore,
  Selection,
  WatchEvent,
  WatchOptions,
} from "./store/resource-store.ts";
export {
  type AddressRange,
  macAddressOf,
  parseRange,
  usableAddresses,
  usableCount,
} from "./util/address-range.ts";
export { BoundedChannel } from "./util/bounded-channel.ts";
export type { Clock, Timer } from "./util/clock.ts";
export {
  isPolyvisorError,
  POLYVISOR_ERROR_CODES,
  PolyvisorError,
  type PolyvisorErrorCode,
} from "./util/errors.ts";
export type { Logger, LogMethod } from "./util/logger.ts";
export type { RandomSource } from "./util/random-source.ts";
