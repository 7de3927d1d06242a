export {
  libvirtBackend,
  type LibvirtBackend,
  type LibvirtBackendOptions,
  type LibvirtHostConfiguration,
} from "./libvirt-backend.ts";
export type { LibvirtPool, LibvirtStorageClass } from "./storage/storage-class.ts";
export type { LibvirtConsoles } from "./guest/libvirt-consoles.ts";
export type { LibvirtGuestAgent } from "./guest/libvirt-guest-agent.ts";
export type { DiskLimits, LibvirtHotplug } from "./guest/libvirt-hotplug.ts";
export type { LibvirtHypervisor } from "./libvirt-hypervisor.ts";
export type {
  DiskStatistics,
  GuestStatistics,
  InterfaceStatistics,
  MemoryStatistics,
} from "./metrics/guest-statistics.ts";
export type { HostLoad, HostStatistics } from "./metrics/host-statistics.ts";
export type { LibvirtMigrationOptions } from "./migration/migration-options.ts";
export type { LibvirtNetwork, NetworkMode } from "./network/network-settings.ts";
export type { LibvirtStorage } from "./libvirt-storage.ts";
export type { VolumeMove } from "./storage/volume-move.ts";
