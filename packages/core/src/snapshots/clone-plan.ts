import type { RestoreMode } from "../api/clone-naming.ts";
import { jsonEquals } from "../util/json.ts";
import {
  attachedDeviceOf,
  type MachineReference,
  renameAttachmentSpec,
  renameMachineSpec,
} from "./machine-references.ts";
import type { KeptAddress, MachineSnapshotContent } from "./machine-snapshot-content.ts";
import { nameProblem, type NamingRules, newName } from "./new-names.ts";
import {
  diskSpecOf,
  type ExistingObjects,
  planOf,
  type PlannedKind,
  type PlannedObject,
  type SnapshotPlan,
} from "./snapshot-plan.ts";

/** What is known when a machine is about to be made from the snapshot of another. */
export interface CloneInputs {
  readonly content: MachineSnapshotContent;
  readonly rules: NamingRules;
  readonly mode: RestoreMode;
  readonly existing: ExistingObjects;
}

/**
 * Plans a new machine with disks of its own. It gets new addresses; labels stay behind, since they may steer traffic to
 * the machine that it is a copy of.
 */
export function planClone(inputs: CloneInputs): SnapshotPlan {
  const { content, rules, mode, existing } = inputs;
  const { virtualMachine, secret, ipAddress, macAddresses, virtualDisks, attachments } = content;
  const rename = ({ kind, name }: MachineReference): string =>
    kind.endsWith("Image") ? name : newName(rules, kind, name);
  const keeps = ({ kind, name }: MachineReference): boolean =>
    mode !== "BestEffort" || !kind.endsWith("Image") || existing.names.has(`${kind}/${name}`);
  const machineName = newName(rules, "VirtualMachine", virtualMachine.name);
  const isNamed = typeof virtualMachine.spec["virtualMachineIPAddressName"] === "string";
  const make = (
    kind: PlannedKind,
    name: string,
    manifest: PlannedObject["manifest"],
  ): PlannedObject => {
    const problem = nameProblem(kind, name) ?? collision(existing, kind, name);
    return { kind, name, action: "create", manifest, ...(problem !== undefined && { problem }) };
  };
  const address = (kind: PlannedKind & KeptAddressKind, kept: KeptAddress): PlannedObject =>
    make(kind, newName(rules, kind, kept.name), {
      spec: kind === "VirtualMachineIPAddress" ? { type: "Auto" } : {},
    });
  const keptAttachments = attachments.filter(({ spec }) => {
    const device = attachedDeviceOf(spec);
    return device === undefined || keeps(device);
  });
  return planOf([
    ...(secret ? [planSecret(inputs, secret)] : []),
    ...(ipAddress && isNamed ? [address("VirtualMachineIPAddress", ipAddress)] : []),
    ...macAddresses.map((mac) => address("VirtualMachineMACAddress", mac)),
    ...virtualDisks.map((disk) => {
      const { annotations, snapshotName } = disk;
      const object = make("VirtualDisk", newName(rules, "VirtualDisk", disk.name), {
        ...(annotations && { annotations }),
        spec: diskSpecOf(disk),
      });
      if (existing.names.has(`VirtualDiskSnapshot/${snapshotName}`)) return object;
      const problem = `VirtualDiskSnapshot ${JSON.stringify(snapshotName)} does not exist or is not Ready: the content of the disk is lost`;
      return { problem, ...object };
    }),
    make("VirtualMachine", machineName, {
      ...(virtualMachine.annotations && { annotations: virtualMachine.annotations }),
      spec: renameMachineSpec(virtualMachine.spec, rename, keeps),
    }),
    ...keptAttachments.map(({ name, spec }) => {
      const kind = "VirtualMachineBlockDeviceAttachment";
      return make(kind, newName(rules, kind, name), {
        spec: renameAttachmentSpec(spec, machineName, rename),
      });
    }),
  ]);
}

type KeptAddressKind = "VirtualMachineIPAddress" | "VirtualMachineMACAddress";

function collision({ names }: ExistingObjects, kind: string, name: string): string | undefined {
  return names.has(`${kind}/${name}`) ? `${kind} with name ${name} already exists` : undefined;
}

/** A secret that has the same name and content serves both machines. */
function planSecret(
  { rules, existing }: CloneInputs,
  { name: oldName, type, data }: NonNullable<MachineSnapshotContent["secret"]>,
): PlannedObject {
  const name = newName(rules, "Secret", oldName);
  const object = { kind: "Secret", name, manifest: { type, data } } as const;
  const found = existing.secrets.get(name);
  if (found !== undefined && found.type === type && jsonEquals(found.data, data)) {
    return { ...object, action: "keep" };
  }
  const problem =
    nameProblem("Secret", name) ??
    (found === undefined ? undefined : `Secret with name ${name} already exists`);
  return { ...object, action: "create", ...(problem !== undefined && { problem }) };
}
