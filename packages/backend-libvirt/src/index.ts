export {
  libvirtBackend,
  type LibvirtBackend,
  type LibvirtBackendOptions,
  type LibvirtHostConfiguration,
} from "./libvirt-backend.ts";
