import { isPolyvisorError } from "@polyvisor/core";
import type { Fault } from "@polyvisor/simulator";
import * as fc from "fast-check";
import { blankDisk, diskOfImage, imageManifest, machine, type World } from "./world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";
const MACHINES = ["a", "b", "c"];
const DISKS = ["disk-a", "disk-b", "disk-c", "disk-d"];
const HOSTS = ["node-1", "node-2", "node-3"];

/** Something that somebody does, or that happens. */
export type Action =
  | { readonly type: "machine"; readonly name: string; readonly disks: readonly string[] }
  | { readonly type: "address"; readonly name: string; readonly staticIP: string }
  | { readonly type: "machine-of-address"; readonly name: string; readonly address: string }
  | { readonly type: "disk"; readonly name: string; readonly image: boolean }
  | {
      readonly type: "delete";
      readonly kind: "VirtualMachine" | "VirtualDisk";
      readonly name: string;
    }
  | { readonly type: "policy"; readonly name: string; readonly runPolicy: string }
  | { readonly type: "cores"; readonly name: string; readonly cores: number }
  | { readonly type: "operation"; readonly name: string; readonly operation: string }
  | { readonly type: "attach"; readonly name: string; readonly disk: string }
  | { readonly type: "detach"; readonly name: string; readonly disk: string }
  | { readonly type: "snapshot"; readonly disk: string }
  | { readonly type: "machine-snapshot"; readonly name: string }
  | { readonly type: "restore"; readonly name: string }
  | { readonly type: "clone"; readonly name: string }
  | {
      readonly type: "guest";
      readonly name: string;
      readonly event: "shutDown" | "reboot" | "crash" | "hang";
    }
  | {
      readonly type: "power";
      readonly host: string;
      readonly verb: "powerOff" | "powerOn" | "reset";
    }
  | { readonly type: "cut"; readonly between: readonly [string, string]; readonly seconds: number }
  | { readonly type: "fault"; readonly fault: Fault }
  | { readonly type: "wait"; readonly seconds: number };

const oneOf = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

/** Actions as they come about in a data centre. */
export function actions(endpoints: readonly string[]): fc.Arbitrary<readonly Action[]> {
  const machineName = oneOf(...MACHINES);
  const disk = oneOf(...DISKS);
  const record = fc.record;
  return fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: record({
          type: fc.constant("machine" as const),
          name: machineName,
          disks: fc.uniqueArray(disk, { minLength: 1, maxLength: 2 }),
        }),
      },
      {
        weight: 4,
        arbitrary: record({ type: fc.constant("disk" as const), name: disk, image: fc.boolean() }),
      },
      {
        weight: 1,
        arbitrary: record({
          type: fc.constant("address" as const),
          name: oneOf("first", "second"),
          staticIP: oneOf("10.66.10.2", "10.66.10.3"),
        }),
      },
      {
        weight: 1,
        arbitrary: record({
          type: fc.constant("machine-of-address" as const),
          name: machineName,
          address: oneOf("first", "second"),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.oneof(
          record({
            type: fc.constant("delete" as const),
            kind: fc.constant("VirtualMachine" as const),
            name: machineName,
          }),
          record({
            type: fc.constant("delete" as const),
            kind: fc.constant("VirtualDisk" as const),
            name: disk,
          }),
        ),
      },
      {
        weight: 1,
        arbitrary: record({
          type: fc.constant("policy" as const),
          name: machineName,
          runPolicy: oneOf("AlwaysOn", "AlwaysOff", "Manual", "AlwaysOnUnlessStoppedManually"),
        }),
      },
      {
        weight: 1,
        arbitrary: record({
          type: fc.constant("cores" as const),
          name: machineName,
          cores: oneOf(1, 2),
        }),
      },
      {
        weight: 3,
        arbitrary: record({
          type: fc.constant("operation" as const),
          name: machineName,
          operation: oneOf("Start", "Stop", "Restart", "Migrate", "Evict"),
        }),
      },
      {
        weight: 2,
        arbitrary: record({
          type: oneOf("attach" as const, "detach" as const),
          name: machineName,
          disk,
        }),
      },
      { weight: 1, arbitrary: record({ type: fc.constant("snapshot" as const), disk }) },
      {
        weight: 3,
        arbitrary: record({
          type: oneOf("machine-snapshot" as const, "restore" as const, "clone" as const),
          name: machineName,
        }),
      },
      {
        weight: 3,
        arbitrary: record({
          type: fc.constant("guest" as const),
          name: machineName,
          event: oneOf("shutDown" as const, "reboot" as const, "crash" as const, "hang" as const),
        }),
      },
      {
        weight: 1,
        arbitrary: record({
          type: fc.constant("power" as const),
          host: oneOf(...HOSTS),
          verb: oneOf("powerOff" as const, "powerOn" as const, "reset" as const),
        }),
      },
      {
        weight: 2,
        arbitrary: record({
          type: fc.constant("cut" as const),
          between: oneOf(...endpoints.map((end) => ["manager", end] as const)),
          seconds: oneOf(3, 40, 300),
        }),
      },
      {
        weight: 2,
        arbitrary: record({
          type: fc.constant("fault" as const),
          fault: record({
            on: oneOf(
              "startGuest" as const,
              "stopGuest" as const,
              "createVolume" as const,
              "attach" as const,
              "detach" as const,
              "migrate" as const,
              "attachDisk" as const,
              "detachDisk" as const,
              "createSnapshot" as const,
            ),
            nth: fc.constant(1),
            times: oneOf(1, 3),
            fail: oneOf(
              "unavailable" as const,
              "refused" as const,
              "failed" as const,
              "lost-request" as const,
              "lost-answer" as const,
            ),
          }),
        }),
      },
      {
        weight: 6,
        arbitrary: record({ type: fc.constant("wait" as const), seconds: oneOf(0, 1, 7, 30, 120) }),
      },
    ),
    { minLength: 15, maxLength: 40, size: "max" },
  );
}

/** Three VMs that run, and a disk to spare. */
export async function settle(world: World): Promise<void> {
  const [spare = "", ...disks] = DISKS;
  await world.platform.apply([imageManifest("ubuntu"), diskOfImage(spare, "ubuntu")]);
  for (const [index, name] of MACHINES.entries()) {
    const disk = disks[index] ?? "";
    await world.platform.apply([blankDisk(disk), machine(name, [disk])]);
  }
  await world.center.clock.advance(120_000);
}

/** Does what somebody does; that it is refused is no fault. */
export async function act(world: World, action: Action, undo: Disposable[]): Promise<void> {
  const { platform, center } = world;
  try {
    switch (action.type) {
      case "machine":
        await platform.apply([machine(action.name, action.disks)]);
        break;
      case "address":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineIPAddress",
            metadata: { name: action.name },
            spec: { type: "Static", staticIP: action.staticIP },
          },
        ]);
        break;
      case "machine-of-address":
        await platform.virtualMachines.patch(action.name, {
          spec: { virtualMachineIPAddressName: action.address },
        });
        break;
      case "disk":
        await platform.apply([
          imageManifest("ubuntu"),
          action.image ? diskOfImage(action.name, "ubuntu") : blankDisk(action.name),
        ]);
        break;
      case "delete":
        await platform.client(action.kind).delete(action.name);
        break;
      case "policy":
        await platform.virtualMachines.patch(action.name, {
          spec: { runPolicy: action.runPolicy },
        });
        break;
      case "cores":
        await platform.virtualMachines.patch(action.name, {
          spec: { cpu: { cores: action.cores } },
        });
        break;
      case "operation":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineOperation",
            metadata: { generateName: `${action.operation.toLowerCase()}-` },
            spec: { virtualMachineName: action.name, type: action.operation },
          },
        ]);
        break;
      case "attach":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineBlockDeviceAttachment",
            metadata: { name: `${action.name}-${action.disk}` },
            spec: {
              virtualMachineName: action.name,
              blockDeviceRef: { kind: "VirtualDisk", name: action.disk },
            },
          },
        ]);
        break;
      case "detach":
        await platform.virtualMachineBlockDeviceAttachments.delete(`${action.name}-${action.disk}`);
        break;
      case "snapshot":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualDiskSnapshot",
            metadata: { name: `of-${action.disk}` },
            spec: { virtualDiskName: action.disk, requiredConsistency: false },
          },
        ]);
        break;
      case "machine-snapshot":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineSnapshot",
            metadata: { name: `of-${action.name}` },
            spec: {
              virtualMachineName: action.name,
              requiredConsistency: false,
              keepIPAddress: "Always",
            },
          },
        ]);
        break;
      case "restore":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineOperation",
            metadata: { generateName: "restore-" },
            spec: {
              type: "Restore",
              virtualMachineName: action.name,
              restore: { mode: "BestEffort", virtualMachineSnapshotName: `of-${action.name}` },
            },
          },
        ]);
        break;
      case "clone":
        await platform.apply([
          {
            apiVersion: API,
            kind: "VirtualMachineOperation",
            metadata: { generateName: "clone-" },
            spec: {
              type: "Clone",
              virtualMachineName: action.name,
              clone: { mode: "BestEffort", customization: { nameSuffix: "-copy" } },
            },
          },
        ]);
        break;
      case "guest":
        center.guest(action.name)[action.event]();
        break;
      case "power":
        center.host(action.host)[action.verb]();
        break;
      case "cut": {
        const cut = center.cut(...action.between);
        center.clock.setTimer(action.seconds * 1000, () => cut[Symbol.dispose]());
        undo.push(cut);
        break;
      }
      case "fault":
        undo.push(center.addFault(action.fault));
        break;
      case "wait":
        await center.clock.advance(action.seconds * 1000);
        break;
    }
  } catch (error) {
    if (!isPolyvisorError(error)) throw error;
  }
}
