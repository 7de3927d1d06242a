import type { Kind } from "../api/kinds.ts";
import { attachedDeviceOf, blockDevicesOf } from "../snapshots/machine-references.ts";
import type { MachineSnapshotContent } from "../snapshots/machine-snapshot-content.ts";
import type { ExistingObjects } from "../snapshots/snapshot-plan.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Says which operation has made an object, so that it is not made again or taken for somebody else's. */
export const OPERATION_ANNOTATION = "polyvisor.io/operation-uid";

/**
 * What is there already of what an operation is about to make. What the operation has made itself counts as not there.
 *
 * @param rename The name that an object of the content gets.
 */
export async function findExisting(
  content: MachineSnapshotContent,
  rename: (kind: string, name: string) => string,
  operation: { readonly uid: string; readonly namespace: string },
  { store }: ControllerContext,
): Promise<ExistingObjects> {
  const { namespace, uid } = operation;
  const names = new Set<string>();
  const attachedTo = new Map<string, string>();
  const addresses = new Map<string, string>();
  const secrets = new Map<string, { type: string; data: Readonly<Record<string, string>> }>();
  const find = async <K extends Kind>(kind: K, name: string) => {
    const where = kind === "ClusterVirtualImage" ? { name } : { name, namespace };
    const found = await store.get(kind, where);
    if (found?.metadata.annotations?.[OPERATION_ANNOTATION] === uid) return undefined;
    if (found) names.add(`${kind}/${name}`);
    return found;
  };
  const { virtualMachine, secret, ipAddress, macAddresses, virtualDisks, attachments } = content;
  if (secret) {
    const name = rename("Secret", secret.name);
    const found = await find("Secret", name);
    if (found) secrets.set(name, { type: found.type, data: found.data });
  }
  for (const [kind, kept] of [
    ["VirtualMachineIPAddress", ipAddress ? [ipAddress] : []],
    ["VirtualMachineMACAddress", macAddresses],
  ] as const) {
    for (const { name: oldName } of kept) {
      const name = rename(kind, oldName);
      const found = await find(kind, name);
      const { address, virtualMachineName } = found?.status ?? {};
      if (address !== undefined) addresses.set(`${kind}/${name}`, address);
      if (virtualMachineName !== undefined) attachedTo.set(`${kind}/${name}`, virtualMachineName);
    }
  }
  for (const { name: oldName, snapshotName } of virtualDisks) {
    const name = rename("VirtualDisk", oldName);
    const disk = await find("VirtualDisk", name);
    const user = disk?.status?.attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
    if (user !== undefined) attachedTo.set(`VirtualDisk/${name}`, user);
    const snapshot = await find("VirtualDiskSnapshot", snapshotName);
    if (snapshot?.status?.phase !== "Ready") names.delete(`VirtualDiskSnapshot/${snapshotName}`);
  }
  await find("VirtualMachine", rename("VirtualMachine", virtualMachine.name));
  for (const { name, spec } of attachments) {
    const kind = "VirtualMachineBlockDeviceAttachment";
    await find(kind, rename(kind, name));
    const device = attachedDeviceOf(spec);
    if (device?.kind === "VirtualImage" || device?.kind === "ClusterVirtualImage") {
      await find(device.kind, device.name);
    }
  }
  for (const { kind, name } of blockDevicesOf(virtualMachine.spec)) {
    if (kind === "VirtualImage" || kind === "ClusterVirtualImage") await find(kind, name);
  }
  return { names, attachedTo, addresses, secrets };
}
