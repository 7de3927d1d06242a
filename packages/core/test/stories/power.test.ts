import type { RunPolicy, StopReason, VirtualMachine } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { blankDisk, vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

/** A VM of a policy whose guest runs; where the policy does not start it, another one did. */
async function runningVm(
  world: World,
  runPolicy: RunPolicy,
  spec: object = {},
): Promise<VirtualMachine> {
  await world.apply(...vmWithDisk("linux", { runPolicy: "AlwaysOn", ...spec }));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await world.apply(vm("linux", ["linux"], { runPolicy, ...spec }));
  await world.pass(0);
  return world.vm("linux");
}

describe("a guest that ends by itself", () => {
  it.each<[RunPolicy, StopReason, "starts again" | "stays off", string]>([
    ["AlwaysOn", "guest-shutdown", "starts again", ""],
    ["AlwaysOn", "crashed", "starts again", ""],
    ["AlwaysOn", "stopped", "starts again", ""],
    [
      "AlwaysOnUnlessStoppedManually",
      "guest-shutdown",
      "stays off",
      "it was shut down from inside",
    ],
    ["AlwaysOnUnlessStoppedManually", "stopped", "stays off", "it was stopped on its host"],
    ["AlwaysOnUnlessStoppedManually", "crashed", "starts again", ""],
    ["AlwaysOnUnlessStoppedManually", "unknown", "starts again", ""],
    ["Manual", "guest-shutdown", "stays off", "it was shut down from inside"],
    ["Manual", "crashed", "stays off", "it crashed"],
  ])("under %s by %s %s", async (policy, reason, outcome, why) => {
    await using world = await World.open();
    const { metadata } = await runningVm(world, policy);
    world.hypervisor.endGuest(metadata.uid, reason);
    await world.pass(3_600_000);
    const { status } = await world.vm("linux");
    if (outcome === "starts again") {
      expect(world.running()).toMatchObject([{ incarnation: 2 }]);
      expect(status?.phase).toBe("Running");
    } else {
      expect(world.running()).toEqual([]);
      expect(status).toMatchObject({ phase: "Stopped", guest: { incarnation: 1 } });
      expect(await world.message("VirtualMachine", "linux", "Running")).toBe(
        `The guest does not run: ${why}.`,
      );
    }
  });

  it("again and again is started after growing pauses, and at once after a long run", async () => {
    await using world = await World.open();
    const { metadata } = await runningVm(world, "AlwaysOn");
    const pauses: number[] = [];
    for (const run of [0, 0, 0, 0, 0, 700_000]) {
      await world.pass(run);
      world.hypervisor.endGuest(metadata.uid, "crashed");
      const began = world.clock.now();
      while (world.running().length === 0) await world.pass(1_000);
      pauses.push(Math.floor((world.clock.now() - began) / 1_000));
    }
    expect(pauses).toEqual([1, 10, 20, 40, 80, 1]);
    expect(world.running()).toMatchObject([{ incarnation: 7 }]);
  });

  it("is started by a change of the policy", async () => {
    await using world = await World.open();
    const { metadata } = await runningVm(world, "Manual");
    world.hypervisor.endGuest(metadata.uid, "guest-shutdown");
    await world.untilPhase("VirtualMachine", "linux", "Stopped");
    await world.apply(vm("linux", ["linux"], { runPolicy: "AlwaysOn" }));
    await world.untilPhase("VirtualMachine", "linux", "Running");
  });
});

describe("a new VM", () => {
  it.each(["Manual", "AlwaysOff"])("stays off under %s", async (runPolicy) => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux", { runPolicy }));
    await world.pass(600_000);
    expect((await world.vm("linux")).status?.phase).toBe("Stopped");
    expect(world.running()).toEqual([]);
  });
});

describe("AlwaysOff", () => {
  it("shuts the guest down", async () => {
    await using world = await World.open();
    await runningVm(world, "AlwaysOff");
    await world.untilPhase("VirtualMachine", "linux", "Stopped");
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe(
      "The guest does not run: the run policy wants it to be off.",
    );
    await world.apply(vm("linux", ["linux"], { runPolicy: "AlwaysOnUnlessStoppedManually" }));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(world.running()).toMatchObject([{ incarnation: 2 }]);
  });

  it("powers a guest off that does not follow, when its grace period is over", async () => {
    await using world = await World.open();
    world.hypervisor.ignoreShutdown = true;
    await runningVm(world, "AlwaysOff", { terminationGracePeriodSeconds: 30 });
    expect((await world.vm("linux")).status?.phase).toBe("Stopping");
    await world.pass(29_000);
    expect(world.running()).toHaveLength(1);
    await world.pass(1_001);
    expect(world.running()).toEqual([]);
    expect((await world.vm("linux")).status).toMatchObject({
      phase: "Stopped",
      guest: { stopReason: "StoppedByPolicy" },
    });
  });

  it("powers off at once without a grace period", async () => {
    await using world = await World.open();
    world.hypervisor.ignoreShutdown = true;
    await runningVm(world, "AlwaysOff", { terminationGracePeriodSeconds: 0 });
    await world.pass(0);
    expect(world.running()).toEqual([]);
  });

  it("keeps the grace period over a restart of the manager", async () => {
    await using world = await World.open();
    world.hypervisor.ignoreShutdown = true;
    await runningVm(world, "AlwaysOff", { terminationGracePeriodSeconds: 60 });
    await world.pass(50_000);
    await world.restart();
    await world.pass(9_000);
    expect(world.running()).toHaveLength(1);
    await world.pass(1_001);
    expect(world.running()).toEqual([]);
  });
});

describe("the deletion of a VM", () => {
  it("gives the guest its grace period too", async () => {
    await using world = await World.open();
    world.hypervisor.ignoreShutdown = true;
    await runningVm(world, "AlwaysOn", { terminationGracePeriodSeconds: 20 });
    await world.platform.virtualMachines.delete("linux");
    await world.pass(19_000);
    expect((await world.vm("linux")).status?.phase).toBe("Terminating");
    expect(world.running()).toHaveLength(1);
    await world.untilGone("VirtualMachine", "linux");
    expect((await world.hypervisor.guests()).guests).toEqual([]);
  });
});

it("a VM can be deleted though it names a disk that was never made, or whose class is gone", async () => {
  await using world = await World.open();
  await runningVm(world, "AlwaysOn");
  const unmade = { persistentVolumeClaim: { size: "1Gi", storageClassName: "none" } };
  await world.apply({ ...blankDisk("unmade"), spec: unmade }, vm("linux", ["linux", "unmade"]));
  await world.platform.storageClasses.delete("fake");
  await world.platform.virtualMachines.delete("linux");
  await world.untilGone("VirtualMachine", "linux");
  expect((await world.hypervisor.guests()).guests).toEqual([]);
  expect([...world.storage.attachments]).toEqual([]);
});

describe("changes of a running VM", () => {
  it("wait for the next start, and the VM says which", async () => {
    await using world = await World.open();
    await runningVm(world, "AlwaysOn");
    await world.apply(vm("linux", ["linux"], { runPolicy: "AlwaysOn", memory: { size: "2Gi" } }));
    const type = "AwaitingRestartToApplyConfiguration";
    const message = (): Promise<string | undefined> =>
      world.message("VirtualMachine", "linux", type);
    await world.until("the condition", message);
    expect(await message()).toBe(
      "Changes of spec.memory.size take effect at the next start of the guest.",
    );
    const { metadata, status } = await world.vm("linux");
    expect(status?.resources?.memory.size).toBe("1Gi");
    expect(world.hypervisor.guest(metadata.uid)?.spec.memoryBytes).toBe(2 ** 30);
    world.hypervisor.endGuest(metadata.uid, "guest-shutdown");
    await world.until("the second incarnation", () => world.running()[0]?.incarnation === 2);
    expect(world.hypervisor.guest(metadata.uid)?.spec.memoryBytes).toBe(2 * 2 ** 30);
    await world.pass(0);
    expect((await world.vm("linux")).status?.resources?.memory.size).toBe("2Gi");
    expect(await message()).toBeUndefined();
  });

  it("keep the old disks and address in the status while the old guest runs", async () => {
    await using world = await World.open();
    await runningVm(world, "AlwaysOn");
    const before = (await world.vm("linux")).status;
    await world.apply(...vmWithDisk("other", { runPolicy: "AlwaysOff" }), {
      apiVersion: "virtualization.deckhouse.io/v1alpha2",
      kind: "VirtualMachineIPAddress",
      metadata: { name: "fixed" },
      spec: { type: "Static", staticIP: "10.66.10.50" },
    });
    const changed = { runPolicy: "AlwaysOn", virtualMachineIPAddressName: "fixed" };
    await world.apply(vm("linux", ["linux", "other"], changed));
    await world.pass(10_000);
    const { metadata, status } = await world.vm("linux");
    expect(status?.ipAddress).toBe(before?.ipAddress);
    expect(status?.virtualMachineIPAddressName).toBe(before?.virtualMachineIPAddressName);
    expect(status?.blockDeviceRefs).toEqual(before?.blockDeviceRefs);
    world.hypervisor.endGuest(metadata.uid, "crashed");
    await world.until("the new address", async () => {
      const { status: now } = await world.vm("linux");
      return now?.phase === "Running" && now.ipAddress === "10.66.10.50";
    });
    expect(world.hypervisor.guest(metadata.uid)?.spec).toMatchObject({
      disks: [{ name: "vd-linux" }, { name: "vd-other" }],
      interfaces: [{ address: "10.66.10.50" }],
    });
  });
});

describe("placement", () => {
  it("follows the node selectors of VM and class, and says when no node matches", async () => {
    await using world = await World.open();
    const nodeSelector = { "kubernetes.io/hostname": "node-2" };
    await world.apply(...vmWithDisk("linux", { nodeSelector }));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(world.running()).toMatchObject([{ host: "node-2" }]);
    await world.apply(...vmWithDisk("lost", { nodeSelector: { zone: "moon" } }));
    await world.untilPhase("VirtualMachine", "lost", "Pending");
    expect(await world.message("VirtualMachine", "lost", "Running")).toBe(
      "No host can take the VM: node-1 does not match the node selector of the VM; node-2 does not match the node selector of the VM.",
    );
  });
});
