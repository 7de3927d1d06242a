export {
  libvirtBackend,
  type LibvirtBackend,
  type LibvirtBackendOptions,
  type LibvirtHostConfiguration,
} from "./libvirt-backend.ts";
export type { LibvirtPool, LibvirtStorageClass } from "./storage/storage-class.ts";
