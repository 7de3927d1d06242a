import { vm } from "./manifests.ts";
import type { World } from "./world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";

export function machineSnapshot(
  name: string,
  virtualMachineName: string,
  spec: object = {},
): object {
  return {
    apiVersion: API,
    kind: "VirtualMachineSnapshot",
    metadata: { name },
    spec: { virtualMachineName, ...spec },
  };
}

export function operation(
  name: string,
  type: string,
  virtualMachineName: string,
  spec: object = {},
): object {
  return {
    apiVersion: API,
    kind: "VirtualMachineOperation",
    metadata: { name },
    spec: { type, virtualMachineName, ...spec },
  };
}

export function restoration(name: string, mode = "Strict", snapshot = "s"): object {
  return operation(name, "Restore", "linux", {
    restore: { mode, virtualMachineSnapshotName: snapshot },
  });
}

export function clone(
  name: string,
  mode = "Strict",
  naming: object = { customization: { namePrefix: "copy-" } },
): object {
  return operation(name, "Clone", "linux", { clone: { mode, ...naming } });
}

export function snapshotOperation(name: string, mode = "Strict", snapshot = "s"): object {
  return {
    apiVersion: API,
    kind: "VirtualMachineSnapshotOperation",
    metadata: { name },
    spec: {
      type: "CreateVirtualMachine",
      virtualMachineSnapshotName: snapshot,
      createVirtualMachine: { mode, customization: { namePrefix: "copy-" } },
    },
  };
}

/** A disk that can be told from others of its size. */
function disk(name: string): object {
  const spec = { persistentVolumeClaim: { size: "1Gi" } };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

/** A VM `linux` with two disks and a secret, running with an agent. */
export async function startMachine(world: World, spec: object = {}): Promise<void> {
  world.hypervisor.withAgents = true;
  const provisioning = { type: "UserDataRef", userDataRef: { kind: "Secret", name: "init" } };
  await world.apply(
    disk("root"),
    disk("data"),
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "init" },
      type: "provisioning.virtualization.deckhouse.io/cloud-init",
      stringData: { userData: "#cloud-config" },
    },
    vm("linux", ["root", "data"], { provisioning, terminationGracePeriodSeconds: 0, ...spec }),
  );
  await world.untilPhase("VirtualMachine", "linux", "Running");
  for (const name of ["root", "data"]) await writeDisk(world, name, `${name} before`);
}

/** Writes to a disk as a guest would. */
export async function writeDisk(world: World, name: string, text: string): Promise<void> {
  const { metadata } = await world.platform.virtualDisks.get(name);
  world.storage.write(`vd-${metadata.uid}`, { offset: 0, bytes: Buffer.from(text) });
}

/** What was written to a disk. */
export async function readDisk(world: World, name: string): Promise<string> {
  const { metadata } = await world.platform.virtualDisks.get(name);
  const written = world.storage.written(`vd-${metadata.uid}`);
  return written.map(({ bytes }) => Buffer.from(bytes).toString()).join(", ");
}
