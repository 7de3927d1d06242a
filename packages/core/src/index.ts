export { type Condition, findCondition } from "./api/conditions.ts";
export { convertToVersion } from "./api/convert-version.ts";
export type {
  Checksum,
  ContainerImageDataSource,
  DataSource,
  HttpDataSource,
  ObjectRefDataSource,
} from "./api/data-source.ts";
export type { Kind, KindInputs, Kinds } from "./api/kinds.ts";
export type { CloneNaming, ResourceResult, RestoreMode } from "./api/clone-naming.ts";
export type { Event, EventInput, ObjectReference } from "./api/event.ts";
export type { ObjectMeta, ObjectMetaInput, OwnerReference, Resource } from "./api/meta.ts";
export type {
  ModuleConfig,
  ModuleConfigInput,
  ModuleSettings,
  ModuleSettingsInput,
  StorageClassSettings,
} from "./api/module-config.ts";
export type { Namespace, NamespaceInput, NamespaceStatus } from "./api/namespace.ts";
export type { Node, NodeInput, NodeSpec, NodeStatus } from "./api/node.ts";
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
export type { Secret, SecretInput } from "./api/secret.ts";
export type { FieldSelector, LabelSelector, LabelSelectorRequirement } from "./api/selectors.ts";
export type { SizingPolicy } from "./api/sizing-policy.ts";
export type { StorageClass, StorageClassInput } from "./api/storage-class.ts";
export type {
  SnapshotPhase,
  VirtualDiskSnapshot,
  VirtualDiskSnapshotInput,
  VirtualDiskSnapshotSpec,
  VirtualDiskSnapshotStatus,
} from "./api/virtual-disk-snapshot.ts";
export type {
  TransferSpeed,
  UploadURLs,
  VirtualDisk,
  VirtualDiskInput,
  VirtualDiskSpec,
  VirtualDiskSpecInput,
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
  VirtualMachineBlockDeviceAttachment,
  VirtualMachineBlockDeviceAttachmentInput,
  VirtualMachineBlockDeviceAttachmentSpec,
  VirtualMachineBlockDeviceAttachmentStatus,
} from "./api/virtual-machine-block-device-attachment.ts";
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
  VirtualMachineMACAddress,
  VirtualMachineMACAddressInput,
  VirtualMachineMACAddressLease,
  VirtualMachineMACAddressLeaseInput,
  VirtualMachineMACAddressLeaseSpec,
  VirtualMachineMACAddressLeaseStatus,
  VirtualMachineMACAddressSpec,
  VirtualMachineMACAddressStatus,
} from "./api/virtual-machine-mac-address.ts";
export type { OperationType } from "./api/operation-supersede.ts";
export type {
  VirtualMachineOperation,
  VirtualMachineOperationInput,
  VirtualMachineOperationSpec,
  VirtualMachineOperationStatus,
} from "./api/virtual-machine-operation.ts";
export type {
  VirtualDiskTemplate,
  VirtualMachinePool,
  VirtualMachinePoolInput,
  VirtualMachinePoolSpec,
  VirtualMachinePoolStatus,
} from "./api/virtual-machine-pool.ts";
export type {
  VirtualMachineSnapshotOperation,
  VirtualMachineSnapshotOperationInput,
  VirtualMachineSnapshotOperationSpec,
  VirtualMachineSnapshotOperationStatus,
} from "./api/virtual-machine-snapshot-operation.ts";
export type {
  VirtualMachineSnapshot,
  VirtualMachineSnapshotInput,
  VirtualMachineSnapshotSpec,
  VirtualMachineSnapshotStatus,
} from "./api/virtual-machine-snapshot.ts";
export type {
  BlockDeviceStatus,
  GuestDevice,
  GuestMigration,
  GuestOperation,
  GuestRecord,
  GuestStopReason,
  MigrationStateStatus,
  RestartAwaitingChange,
  VirtualMachinePhase,
  VirtualMachineStatus,
} from "./api/virtual-machine-status.ts";
export type {
  BlockDeviceKind,
  BlockDeviceRef,
  Bootloader,
  LiveMigrationPolicy,
  MachineOsType,
  NetworkRef,
  Provisioning,
  ProvisioningInput,
  RunPolicy,
  SecretRef,
  VirtualMachine,
  VirtualMachineInput,
  VirtualMachineSpec,
  VirtualMachineSpecInput,
} from "./api/virtual-machine.ts";
export type { VolumeSnapshotClass, VolumeSnapshotClassInput } from "./api/volume-snapshot-class.ts";
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
export type { IncomingUpload, UploadAddresses } from "./controllers/uploads.ts";
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
export type { VirtualMachinePoolClient } from "./platform/virtual-machine-pool-client.ts";
export type { OperationLimits } from "./platform/run-operation.ts";
export { type NodeClient } from "./platform/node-client.ts";
export type {
  ForceOptions,
  OperationOptions,
  VirtualMachineClient,
} from "./platform/virtual-machine-client.ts";
export { uploadHandler } from "./platform/upload-handler.ts";
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
