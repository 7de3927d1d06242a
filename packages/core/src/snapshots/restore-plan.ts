import type { RestoreMode } from "../api/clone-naming.ts";
import { jsonEquals } from "../util/json.ts";
import {
  attachedDeviceOf,
  type MachineReference,
  renameMachineSpec,
} from "./machine-references.ts";
import type {
  KeptAddress,
  KeptDisk,
  KeptObject,
  MachineSnapshotContent,
} from "./machine-snapshot-content.ts";
import {
  diskSpecOf,
  type ExistingObjects,
  metadataOf,
  planOf,
  type PlannedObject,
  type SnapshotPlan,
} from "./snapshot-plan.ts";

/** What is known when a machine is about to be restored. */
export interface RestoreInputs {
  readonly content: MachineSnapshotContent;
  /** `spec.keepIPAddress` of the snapshot. */
  readonly keepIPAddress: "Always" | "Never";
  readonly mode: RestoreMode;
  readonly existing: ExistingObjects;
}

/**
 * Plans to bring a machine back to a snapshot of it: disks are made anew under their names, addresses and the secret are
 * brought back, the machine gets the spec, labels and annotations that it had.
 */
export function planRestore(inputs: RestoreInputs): SnapshotPlan {
  const { content, existing, mode } = inputs;
  const { virtualMachine, secret, macAddresses, virtualDisks, attachments } = content;
  const keeps = (device: MachineReference): boolean =>
    mode !== "BestEffort" || !isMissingImage(device, existing);
  const address = planAddress(inputs);
  const spec = renameMachineSpec(virtualMachine.spec, ({ name }) => name, keeps);
  const kept = attachments.filter(({ spec: own }) => {
    const device = attachedDeviceOf(own);
    return device === undefined || keeps(device);
  });
  return planOf([
    ...(secret ? [planSecret(inputs, secret)] : []),
    ...(address.object ? [address.object] : []),
    ...macAddresses.map((mac) =>
      planKeptAddress(inputs, "VirtualMachineMACAddress", mac, { address: mac.address }),
    ),
    ...virtualDisks.map((disk) => planDisk(inputs, disk)),
    {
      kind: "VirtualMachine",
      name: virtualMachine.name,
      action: "update",
      manifest: { ...metadataOf(virtualMachine), spec: { ...spec, ...address.spec } },
    },
    ...kept.map((attachment) => planAttachment(inputs, attachment)),
  ]);
}

function isMissingImage({ kind, name }: MachineReference, { names }: ExistingObjects): boolean {
  return kind.endsWith("Image") && !names.has(`${kind}/${name}`);
}

function planSecret(
  { existing, mode }: RestoreInputs,
  { name, type, data }: NonNullable<MachineSnapshotContent["secret"]>,
): PlannedObject {
  const object = { kind: "Secret", name, manifest: { type, data } } as const;
  const found = existing.secrets.get(name);
  if (found === undefined) return { ...object, action: "create" };
  const same = found.type === type && jsonEquals(found.data, data);
  if (same || mode === "BestEffort") return { ...object, action: "keep" };
  const problem = `Secret ${JSON.stringify(name)} has another content than in the snapshot: delete it, or use the mode BestEffort to keep it as it is`;
  return { ...object, action: "keep", problem };
}

function planAddress({ content, keepIPAddress, ...rest }: RestoreInputs): {
  readonly object?: PlannedObject;
  /** What changes in the spec of the machine. */
  readonly spec?: KeptObject["spec"];
} {
  const { ipAddress, virtualMachine } = content;
  if (ipAddress === undefined) return {};
  const inputs = { content, keepIPAddress, ...rest };
  const isNamed = typeof virtualMachine.spec["virtualMachineIPAddressName"] === "string";
  if (ipAddress.spec["type"] === "Auto" && keepIPAddress === "Never") {
    if (!isNamed) return {};
    return {
      object: planKeptAddress(inputs, "VirtualMachineIPAddress", ipAddress, { type: "Auto" }),
    };
  }
  const spec = { type: "Static", staticIP: ipAddress.address };
  return {
    object: planKeptAddress(inputs, "VirtualMachineIPAddress", ipAddress, spec),
    ...(!isNamed && { spec: { virtualMachineIPAddressName: ipAddress.name } }),
  };
}

function planKeptAddress(
  { content, existing }: RestoreInputs,
  kind: "VirtualMachineIPAddress" | "VirtualMachineMACAddress",
  kept: KeptAddress,
  spec: KeptObject["spec"],
): PlannedObject {
  const { name, address } = kept;
  const object = { kind, name, manifest: { ...metadataOf(kept), spec } };
  const key = `${kind}/${name}`;
  if (!existing.names.has(key)) return { ...object, action: "create" };
  const user = existing.attachedTo.get(key);
  if (user !== undefined && user !== content.virtualMachine.name) {
    return { ...object, action: "keep", problem: attachedElsewhere(kind, name, user) };
  }
  const bound = existing.addresses.get(key);
  const isFree = spec["type"] === "Auto";
  if (isFree || bound === address) return { ...object, action: isFree ? "keep" : "update" };
  const problem = `${kind} ${JSON.stringify(name)} has the address ${bound ?? "of nobody yet"} and not ${address}: delete it first`;
  return { ...object, action: "keep", problem };
}

function attachedElsewhere(kind: string, name: string, user: string): string {
  return `${kind} ${JSON.stringify(name)} is attached to different VirtualMachine ${JSON.stringify(user)}: stop that VM or remove it there`;
}

function planDisk({ content, existing }: RestoreInputs, disk: KeptDisk): PlannedObject {
  const { name, snapshotName } = disk;
  const manifest = { ...metadataOf(disk), spec: diskSpecOf(disk) };
  const object = { kind: "VirtualDisk", name, manifest } as const;
  const key = `VirtualDisk/${name}`;
  const action = existing.names.has(key) ? "replace" : "create";
  const user = existing.attachedTo.get(key);
  if (user !== undefined && user !== content.virtualMachine.name) {
    return { ...object, action, problem: attachedElsewhere("VirtualDisk", name, user) };
  }
  if (existing.names.has(`VirtualDiskSnapshot/${snapshotName}`)) return { ...object, action };
  const problem = `VirtualDiskSnapshot ${JSON.stringify(snapshotName)} does not exist or is not Ready: the content of the disk is lost`;
  return { ...object, action, problem };
}

function planAttachment({ existing }: RestoreInputs, attachment: KeptObject): PlannedObject {
  const { name, spec } = attachment;
  const kind = "VirtualMachineBlockDeviceAttachment";
  const action = existing.names.has(`${kind}/${name}`) ? "replace" : "create";
  return { kind, name, action, manifest: { ...metadataOf(attachment), spec } };
}
