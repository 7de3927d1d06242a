import { FakeHypervisor } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { blankDisk, vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

/** Guests keep their disks until they end. */
function withoutHotplug(): FakeHypervisor {
  return new FakeHypervisor({ hosts: ["node-1", "node-2"] });
}

describe("one disk that two VMs name", () => {
  it("goes to one; the other waits, says so, and takes over when the first is gone", async () => {
    await using world = await World.open();
    const late = { virtualMachineClassName: "late" };
    await world.apply(blankDisk("shared"), vm("a", ["shared"], late), vm("b", ["shared"], late));
    await world.untilPhase("VirtualDisk", "shared", "Ready");
    const { virtualMachineClasses, virtualMachines } = world.platform;
    await virtualMachineClasses.create({
      metadata: { name: "late" },
      spec: { cpu: { type: "Host" } },
    });
    await world.until("one of them", () => world.running().length > 0);
    await world.pass(600_000);
    expect(world.running()).toHaveLength(1);
    const [first = "", second = ""] = world.running()[0]?.name === "a" ? ["a", "b"] : ["b", "a"];
    expect((await world.vm(second)).status?.phase).toBe("Pending");
    expect(await world.message("VirtualMachine", second, "BlockDevicesReady")).toBe(
      `spec.blockDeviceRefs[0]: VirtualDisk "shared" is in use by VirtualMachine "${first}": stop that VM or name another disk.`,
    );
    expect(
      (await world.platform.virtualDisks.get("shared")).status?.attachedToVirtualMachines,
    ).toEqual(["a", "b"].map((name) => ({ name, mounted: name === first })));
    await virtualMachines.delete(first);
    await world.untilPhase("VirtualMachine", second, "Running");
    expect(world.running().map(({ name }) => name)).toEqual([second]);
  });

  it("is handed over when the first VM is stopped", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("shared"), vm("a", ["shared"]));
    await world.untilPhase("VirtualMachine", "a", "Running");
    await world.apply(vm("b", ["shared"]));
    await world.pass(10_000);
    expect(world.running().map(({ name }) => name)).toEqual(["a"]);
    await world.apply(vm("a", ["shared"], { runPolicy: "AlwaysOff" }));
    await world.untilPhase("VirtualMachine", "b", "Running");
    expect(world.running().map(({ name }) => name)).toEqual(["b"]);
    await world.apply(vm("a", ["shared"]));
    await world.pass(600_000);
    expect(world.running().map(({ name }) => name)).toEqual(["b"]);
  });

  it("is handed over by a VM that no longer names it, once its old guest has ended", async () => {
    await using world = await World.open({ hypervisor: withoutHotplug() });
    await world.apply(blankDisk("shared"), blankDisk("own"), vm("a", ["own", "shared"]));
    await world.untilPhase("VirtualMachine", "a", "Running");
    await world.apply(vm("a", ["own"]), vm("b", ["shared"]));
    await world.pass(600_000);
    expect(world.running().map(({ name }) => name)).toEqual(["a"]);
    world.hypervisor.endGuest((await world.vm("a")).metadata.uid, "crashed");
    await world.untilPhase("VirtualMachine", "b", "Running");
    await world.untilPhase("VirtualMachine", "a", "Running");
    expect(world.running().map(({ name }) => name)).toEqual(["a", "b"]);
  });
});

describe("a disk that is deleted", () => {
  it("while its VM runs waits for the VM", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.platform.virtualDisks.delete("linux");
    await world.pass(600_000);
    await world.restart();
    await world.pass(600_000);
    expect(await world.message("VirtualDisk", "linux", "Terminating")).toBe(
      'The disk is in use by VirtualMachine "linux": it goes when the VM has stopped or no longer names it.',
    );
    expect(world.storage.volumeNames()).toHaveLength(1);
    expect(world.running()).toHaveLength(1);
    await world.apply(vm("linux", ["linux"], { runPolicy: "AlwaysOff" }));
    await world.untilGone("VirtualDisk", "linux");
    expect(world.storage.volumeNames()).toEqual([]);
    await world.apply(vm("linux", ["linux"]));
    await world.until("the message", async () =>
      (await world.message("VirtualMachine", "linux", "BlockDevicesReady"))?.includes(
        "does not exist",
      ),
    );
  });

  it("after its VM stopped naming it goes when the old guest has ended", async () => {
    await using world = await World.open({ hypervisor: withoutHotplug() });
    await world.apply(blankDisk("root"), blankDisk("data"), vm("linux", ["root", "data"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.apply(vm("linux", ["root"]));
    await world.platform.virtualDisks.delete("data");
    await world.pass(600_000);
    expect(world.storage.volumeNames()).toHaveLength(2);
    world.hypervisor.endGuest((await world.vm("linux")).metadata.uid, "crashed");
    await world.untilGone("VirtualDisk", "data");
    expect(world.storage.volumeNames()).toHaveLength(1);
    await world.untilPhase("VirtualMachine", "linux", "Running");
  });

  it("while its VM is being started does not keep the start from ending", async () => {
    await using world = await World.open();
    const open = world.hypervisorGates.close("startGuest");
    await world.apply(...vmWithDisk("linux"));
    await world.until("the start", () => world.hypervisorGates.held("startGuest") === 1);
    await world.platform.virtualDisks.delete("linux");
    await world.pass(1_000);
    await world.restart();
    await world.pass(1_000);
    open();
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.platform.virtualMachines.delete("linux");
    await world.untilGone("VirtualDisk", "linux");
    expect([...world.storage.attachments]).toEqual([]);
  });

  it("is not taken by a VM that comes later", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("first"));
    await world.untilPhase("VirtualMachine", "first", "Running");
    await world.platform.virtualDisks.delete("first");
    await world.apply(vm("second", ["first"]));
    await world.pass(10_000);
    expect(await world.message("VirtualMachine", "second", "BlockDevicesReady")).toBe(
      'spec.blockDeviceRefs[0]: VirtualDisk "first" is being deleted: name another disk.',
    );
    await world.platform.virtualMachines.delete("first");
    await world.untilGone("VirtualDisk", "first");
    await world.pass(600_000);
    expect(world.running()).toEqual([]);
  });
});

it("a disk of a VM that moved to another host is no longer attached to the first", async () => {
  await using world = await World.open();
  await world.apply(...vmWithDisk("linux"));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  const nodeSelector = { "kubernetes.io/hostname": "node-2" };
  await world.apply(vm("linux", ["linux"], { nodeSelector }));
  world.hypervisor.endGuest((await world.vm("linux")).metadata.uid, "crashed");
  await world.until("the other host", () => world.running()[0]?.host === "node-2");
  await world.pass(1_000);
  const [volume] = world.storage.volumeNames();
  expect([...world.storage.attachments]).toEqual([`${volume} node-2`]);
  expect((await world.hypervisor.guests()).guests).toHaveLength(1);
});
