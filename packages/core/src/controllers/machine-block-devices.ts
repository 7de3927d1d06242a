import type { ConditionInput } from "../api/conditions.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { BlockDeviceRef, VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import { messageOf } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { holdsDisk } from "./disk-users.ts";
import { type DeviceVolume, diskVolume, imageDeviceVolume } from "./machine-volumes.ts";

/** The block devices that a VM names, as far as they are there. */
export interface MachineDevices {
  /** In the order of `spec.blockDeviceRefs`. */
  readonly volumes: readonly DeviceVolume[];
  /** Disks that are made on the host that the VM will run on. */
  readonly awaitingHost: readonly VirtualDisk[];
  readonly condition: ConditionInput;
}

/** A block device that can be used, one that is made where its VM will run, or what keeps it from being used. */
export type FoundDevice =
  | { readonly volume: DeviceVolume }
  | { readonly awaitsHost: VirtualDisk }
  | { readonly problem: string };

/** Finds the block devices of a VM. */
export function findDevices(vm: VirtualMachine, context: ControllerContext): MachineDevices {
  const volumes: DeviceVolume[] = [];
  const problems: string[] = [];
  const awaitingHost: VirtualDisk[] = [];
  vm.spec.blockDeviceRefs.forEach((ref, index) => {
    const found = findDevice(vm, ref, context);
    if ("volume" in found) volumes.push(found.volume);
    else if ("awaitsHost" in found) awaitingHost.push(found.awaitsHost);
    else problems.push(`spec.blockDeviceRefs[${index}]: ${found.problem}`);
  });
  const type = "BlockDevicesReady";
  if (problems.length > 0) {
    const message = problems.join(" ");
    return {
      volumes,
      awaitingHost,
      condition: condition(type, "False", "BlockDevicesNotReady", message),
    };
  }
  if (awaitingHost.length > 0) {
    const names = awaitingHost.map(({ metadata }) => JSON.stringify(metadata.name)).join(", ");
    return {
      volumes,
      awaitingHost,
      condition: condition(
        type,
        "False",
        "WaitingForWaitForFirstConsumerBlockDevicesToBeReady",
        `VirtualDisk ${names} is made on the host that the VM will run on: waiting for that.`,
      ),
    };
  }
  return { volumes, awaitingHost, condition: condition(type, "True", type) };
}

/** Finds one block device for a VM. */
export function findDevice(
  vm: VirtualMachine,
  { kind, name }: Pick<BlockDeviceRef, "kind" | "name">,
  context: ControllerContext,
): FoundDevice {
  if (kind !== "VirtualDisk") {
    const key = kind === "VirtualImage" ? `${vm.metadata.namespace}/${name}` : name;
    return imageDeviceVolume(kind, key, context);
  }
  const disk = context.caches.of("VirtualDisk").get(`${vm.metadata.namespace}/${name}`);
  if (disk === undefined) {
    return { problem: `VirtualDisk "${name}" does not exist: create it or correct the name.` };
  }
  const phase = disk.status?.phase ?? "Pending";
  const holder = disk.status?.attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
  // One that the VM has was Ready when it was taken; should it be deleted since, it waits for the VM. A start that has
  // not come to take it finds out that another VM has it, and is given up instead of waiting with the disks that it has.
  const isHeld = holder !== undefined && holdsDisk(vm, name);
  if (!isHeld) {
    if (disk.metadata.deletionTimestamp !== undefined)
      return { problem: `VirtualDisk "${name}" is being deleted: name another disk.` };
    if (phase === "WaitForFirstConsumer") return { awaitsHost: disk };
    if (phase !== "Ready" && phase !== "Resizing")
      return { problem: `VirtualDisk "${name}" is ${phase}: waiting for it to be Ready.` };
    if (holder !== undefined && holder !== vm.metadata.name) {
      return {
        problem: `VirtualDisk "${name}" is in use by VirtualMachine "${holder}": stop that VM or name another disk.`,
      };
    }
  }
  try {
    return { volume: diskVolume(disk, context) };
  } catch (error) {
    return { problem: `${messageOf(error)}.` };
  }
}
