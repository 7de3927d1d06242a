import { PolyvisorError } from "@polyvisor/core";
import { FakeHypervisor } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import {
  attachment,
  blankDisk,
  extents,
  IMAGE_URL,
  imageManifest,
  vm,
  vmWithDisk,
} from "../support/manifests.ts";
import { World } from "../support/world.ts";

const LOST = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");
const REFUSED = new PolyvisorError("POLYVISOR_REFUSED", "no slot is left");

async function runningWorld(): Promise<World> {
  const world = await World.open();
  await world.apply(...vmWithDisk("linux"), blankDisk("data"));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await world.untilPhase("VirtualDisk", "data", "Ready");
  return world;
}

async function disks(world: World): Promise<string[]> {
  const { metadata } = await world.vm("linux");
  return world.hypervisor.guest(metadata.uid)?.spec.disks.map(({ name }) => name) ?? [];
}

const KIND = "VirtualMachineBlockDeviceAttachment";

describe("a disk that is attached while the VM runs", () => {
  it("is in the guest, in the statuses and nobody else's, until the attachment is deleted", async () => {
    await using world = await runningWorld();
    await world.apply(attachment("attach-data", "linux", "data"));
    const { status } = await world.untilPhase(KIND, "attach-data", "Attached");
    expect(status?.virtualMachineName).toBe("linux");
    expect(await disks(world)).toEqual(["vd-linux", "vd-data"]);
    await world.pass(0);
    expect((await world.vm("linux")).status?.blockDeviceRefs?.[1]).toMatchObject({
      kind: "VirtualDisk",
      name: "data",
      attached: true,
      hotplugged: true,
      virtualMachineBlockDeviceAttachmentName: "attach-data",
    });
    expect((await world.find("VirtualDisk", "data"))?.status?.attachedToVirtualMachines).toEqual([
      { name: "linux", mounted: true },
    ]);
    await world.apply(vm("thief", ["data"]));
    await world.pass(60_000);
    expect(world.running().map(({ name }) => name)).toEqual(["linux"]);
    await world.platform.virtualMachineBlockDeviceAttachments.delete("attach-data");
    await world.untilGone(KIND, "attach-data");
    expect(await disks(world)).toEqual(["vd-linux"]);
    await world.until("the other VM", () => world.running().length === 2);
    expect([...world.storage.attachments]).toHaveLength(2);
  });

  it("is there again after the guest has been started anew", async () => {
    await using world = await runningWorld();
    await world.apply(attachment("attach-data", "linux", "data"));
    await world.untilPhase(KIND, "attach-data", "Attached");
    const { metadata } = await world.vm("linux");
    world.hypervisor.endGuest(metadata.uid, "crashed");
    await world.until("the second run", () => world.running()[0]?.incarnation === 2);
    await world.until("the disk", async () => (await disks(world)).length === 2);
    await world.untilPhase(KIND, "attach-data", "Attached");
  });

  it.each([
    ["attachDisk", "before", LOST],
    ["attachDisk", "after", LOST],
    ["attach", "after", LOST],
  ] as const)("comes though the answer of %s is lost (%s)", async (verb, when, error) => {
    await using world = await runningWorld();
    const rules = verb === "attach" ? world.storageFaults.rules : world.hypervisorFaults.rules;
    rules.push({ verb, when, error, times: 2 });
    await world.apply(attachment("attach-data", "linux", "data"));
    await world.untilPhase(KIND, "attach-data", "Attached");
    expect(await disks(world)).toEqual(["vd-linux", "vd-data"]);
    world.hypervisorFaults.rules.push({ verb: "detachDisk", when, error: LOST, times: 2 });
    await world.platform.virtualMachineBlockDeviceAttachments.delete("attach-data");
    await world.untilGone(KIND, "attach-data");
    expect(await disks(world)).toEqual(["vd-linux"]);
    expect([...world.storage.attachments]).toHaveLength(1);
  });

  it("that the hypervisor refuses belongs to nobody, and is tried again later", async () => {
    await using world = await runningWorld();
    world.hypervisorFaults.rules.push({ verb: "attachDisk", error: REFUSED, times: 1 });
    await world.apply(attachment("attach-data", "linux", "data"));
    await world.untilPhase(KIND, "attach-data", "Attached");
    expect(await disks(world)).toEqual(["vd-linux", "vd-data"]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    "comes though the manager dies after %d writes",
    async (writes) => {
      await using world = await runningWorld();
      await world.apply(attachment("attach-data", "linux", "data"));
      world.writesLeft = writes;
      await world.pass(1_000);
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilPhase(KIND, "attach-data", "Attached");
      expect(await disks(world)).toEqual(["vd-linux", "vd-data"]);
      await world.platform.virtualMachineBlockDeviceAttachments.delete("attach-data");
      world.writesLeft = writes;
      await world.pass(1_000);
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilGone(KIND, "attach-data");
      expect(await disks(world)).toEqual(["vd-linux"]);
      expect([...world.storage.attachments]).toHaveLength(1);
    },
  );

  it("waits for VM and disk, and says so", async () => {
    await using world = await World.open();
    await world.apply(attachment("attach-data", "linux", "data"));
    await world.untilPhase(KIND, "attach-data", "Pending");
    expect(await world.message(KIND, "attach-data", "VirtualMachineReady")).toBe(
      'VirtualMachine "linux" does not exist: create it or correct spec.virtualMachineName.',
    );
    await world.apply(...vmWithDisk("linux", { runPolicy: "AlwaysOff" }));
    await world.pass(1_000);
    expect(await world.message(KIND, "attach-data", "VirtualMachineReady")).toBe(
      'VirtualMachine "linux" is Stopped: waiting for the VirtualMachine to be Running.',
    );
    await world.apply(vm("linux", ["linux"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.pass(1_000);
    expect(await world.message(KIND, "attach-data", "BlockDeviceReady")).toBe(
      'VirtualDisk "data" does not exist: create it or correct the name.',
    );
    await world.apply(blankDisk("data"));
    await world.untilPhase(KIND, "attach-data", "Attached");
  });

  it("can be an image, for any number of VMs", async () => {
    await using world = await runningWorld();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest("tools"), ...vmWithDisk("other"));
    await world.untilPhase("VirtualMachine", "other", "Running");
    await world.apply(
      attachment("one", "linux", "tools", "VirtualImage"),
      attachment("two", "other", "tools", "VirtualImage"),
    );
    await world.untilPhase(KIND, "one", "Attached");
    await world.untilPhase(KIND, "two", "Attached");
    const { metadata } = await world.vm("linux");
    expect(world.hypervisor.guest(metadata.uid)?.spec.disks[1]).toMatchObject({
      name: "vi-tools",
      readOnly: true,
    });
    await world.platform.virtualMachineBlockDeviceAttachments.delete("one");
    await world.untilGone(KIND, "one");
    const left = [...world.storage.attachments].filter((text) => text.startsWith("vi-"));
    expect(left).toHaveLength(1);
  });
});

describe("a change of spec.blockDeviceRefs", () => {
  it("plugs in and out while the guest runs", async () => {
    await using world = await runningWorld();
    await world.apply(vm("linux", ["linux", "data"]));
    await world.until("the disk", async () => (await disks(world)).length === 2);
    await world.pass(1_000);
    const { status } = await world.vm("linux");
    expect(status?.restartAwaitingChanges).toBeUndefined();
    expect(status?.guest?.appliedSpec?.blockDeviceRefs).toHaveLength(2);
    expect(status?.guest?.incarnation).toBe(1);
    await world.apply(vm("linux", ["linux"]));
    await world.until("one disk", async () => (await disks(world)).length === 1);
    await world.pass(1_000);
    expect((await world.vm("linux")).status?.guest?.appliedSpec?.blockDeviceRefs).toHaveLength(1);
    expect([...world.storage.attachments]).toHaveLength(1);
  });

  it("waits for a restart together with a change that needs one", async () => {
    await using world = await runningWorld();
    await world.apply(vm("linux", ["linux", "data"], { memory: { size: "2Gi" } }));
    await world.pass(60_000);
    expect(await disks(world)).toEqual(["vd-linux"]);
    expect((await world.vm("linux")).status?.restartAwaitingChanges).toMatchObject([
      { path: "memory.size" },
    ]);
  });
});

it("a disk that a stopped VM no longer names is let go of before the VM is deleted", async () => {
  await using world = await runningWorld();
  await world.apply(vm("linux", ["linux", "data"], { runPolicy: "AlwaysOff" }));
  await world.untilPhase("VirtualMachine", "linux", "Stopped");
  await world.pass(1_000);
  expect([...world.storage.attachments]).toEqual([]);
});

it("an attachment on a hypervisor that cannot plug says so", async () => {
  await using world = await World.open({ hypervisor: new FakeHypervisor() });
  await world.apply(...vmWithDisk("linux"), blankDisk("data"));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await world.untilPhase("VirtualDisk", "data", "Ready");
  await world.apply(attachment("attach-data", "linux", "data"));
  await world.pass(60_000);
  expect((await world.find(KIND, "attach-data"))?.status?.phase).toBe("Pending");
  expect(await world.message(KIND, "attach-data", "Attached")).toBe(
    'Hypervisor "fake" cannot attach block devices to running guests: name the device in spec.blockDeviceRefs of the VirtualMachine and restart it.',
  );
});
