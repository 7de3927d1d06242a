import type {
  GuestRecord,
  GuestState,
  ObjectMeta,
  StorageClass,
  VirtualDisk,
  VirtualDiskStatus,
  VirtualImage,
  VirtualMachine,
  VirtualMachineClass,
  VirtualMachineSpec,
} from "@polyvisor/core";

const API = "virtualization.deckhouse.io/v1alpha2";

/** Metadata as a store fills it in. */
export function metadata(name: string, more: Partial<ObjectMeta> = {}): ObjectMeta {
  return {
    name,
    namespace: "default",
    uid: `uid-of-${name}`,
    resourceVersion: "1",
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...more,
  };
}

/** The spec of a small VM with all defaults. */
export function machineSpec(more: Partial<VirtualMachineSpec> = {}): VirtualMachineSpec {
  return {
    virtualMachineClassName: "host",
    runPolicy: "AlwaysOnUnlessStoppedManually",
    cpu: { cores: 1, coreFraction: "100%" },
    memory: { size: "1Gi" },
    blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
    terminationGracePeriodSeconds: 60,
    enableParavirtualization: true,
    osType: "Generic",
    bootloader: "BIOS",
    liveMigrationPolicy: "PreferSafe",
    disruptions: { restartApprovalMode: "Manual" },
    ...more,
  };
}

export function machine(name: string, spec: Partial<VirtualMachineSpec> = {}): VirtualMachine {
  return {
    apiVersion: API,
    kind: "VirtualMachine",
    metadata: metadata(name),
    spec: machineSpec(spec),
  };
}

export function machineClass(spec: VirtualMachineClass["spec"]): VirtualMachineClass {
  return { apiVersion: API, kind: "VirtualMachineClass", metadata: metadata("some"), spec };
}

export function disk(
  name: string,
  spec: VirtualDisk["spec"] = {},
  status?: Partial<VirtualDiskStatus>,
): VirtualDisk {
  return {
    apiVersion: API,
    kind: "VirtualDisk",
    metadata: metadata(name),
    spec,
    ...(status && {
      status: { phase: "Pending", conditions: [], observedGeneration: 1, ...status },
    }),
  };
}

export function image(name: string, status?: Partial<VirtualImage["status"]>): VirtualImage {
  const http = { url: `http://images.example/${name}.qcow2` };
  return {
    apiVersion: API,
    kind: "VirtualImage",
    metadata: metadata(name),
    spec: { storage: "ContainerRegistry", dataSource: { type: "HTTP", http } },
    ...(status && {
      status: { phase: "Pending", conditions: [], observedGeneration: 1, ...status },
    }),
  };
}

export function storageClass(name: string): StorageClass {
  return {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { ...metadata(name) },
    provisioner: "fake-storage",
    volumeBindingMode: "Immediate",
    reclaimPolicy: "Delete",
  };
}

/** A record of a guest on node-1 whose present state began at midnight. */
export function record(state: GuestRecord["state"], more: Partial<GuestRecord> = {}): GuestRecord {
  return {
    incarnation: 3,
    host: "node-1",
    state,
    since: "2026-01-01T00:00:00Z",
    failures: 0,
    ...more,
  };
}

/** What node-1 says of the guest. */
export function guest(power: GuestState["power"], more: Partial<GuestState> = {}): GuestState {
  return {
    uid: "uid-of-vm",
    incarnation: 3,
    namespace: "default",
    name: "vm",
    host: "node-1",
    power,
    ...more,
  };
}
