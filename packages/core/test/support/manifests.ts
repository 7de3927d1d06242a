import type { SparseExtent } from "@polyvisor/core";

const API = "virtualization.deckhouse.io/v1alpha2";
const MIB = 2 ** 20;

/** Where the fake image store finds things. */
export const IMAGE_URL = "http://images.example/ubuntu.qcow2";

/** The content of a small disk image: 4 MiB, of which two pieces hold data. */
export function extents(): SparseExtent[] {
  return [
    { type: "data", bytes: Buffer.from("boot") },
    { type: "hole", length: 2 * MIB - 4 },
    { type: "data", bytes: Buffer.from("root") },
    { type: "hole", length: 2 * MIB - 4 },
  ];
}

export function imageManifest(name = "ubuntu", url = IMAGE_URL): object {
  return {
    apiVersion: API,
    kind: "VirtualImage",
    metadata: { name },
    spec: { storage: "ContainerRegistry", dataSource: { type: "HTTP", http: { url } } },
  };
}

export function blankDisk(name: string, size = "1Gi"): object {
  const spec = { persistentVolumeClaim: { size } };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

export function diskOfImage(name: string, image = "ubuntu", size?: string): object {
  const spec = {
    dataSource: { type: "ObjectRef", objectRef: { kind: "VirtualImage", name: image } },
    ...(size !== undefined && { persistentVolumeClaim: { size } }),
  };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

export function diskOfUrl(name: string, url = IMAGE_URL): object {
  const spec = { dataSource: { type: "HTTP", http: { url } } };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

export function vm(name: string, disks: readonly string[], spec: object = {}): object {
  return {
    apiVersion: API,
    kind: "VirtualMachine",
    metadata: { name },
    spec: {
      virtualMachineClassName: "host",
      cpu: { cores: 1, coreFraction: "100%" },
      memory: { size: "1Gi" },
      blockDeviceRefs: disks.map((disk) => ({ kind: "VirtualDisk", name: disk })),
      ...spec,
    },
  };
}

/** A VM with a blank disk of the same name. */
export function vmWithDisk(name: string, spec: object = {}): object[] {
  return [blankDisk(name), vm(name, [name], spec)];
}

export function address(name: string, spec: object): object {
  return { apiVersion: API, kind: "VirtualMachineIPAddress", metadata: { name }, spec };
}

export function operation(name: string, type: string, vmName: string, spec: object = {}): object {
  return {
    apiVersion: API,
    kind: "VirtualMachineOperation",
    metadata: { name },
    spec: { type, virtualMachineName: vmName, ...spec },
  };
}

export function attachment(
  name: string,
  vmName: string,
  disk: string,
  kind = "VirtualDisk",
): object {
  return {
    apiVersion: API,
    kind: "VirtualMachineBlockDeviceAttachment",
    metadata: { name },
    spec: { virtualMachineName: vmName, blockDeviceRef: { kind, name: disk } },
  };
}
