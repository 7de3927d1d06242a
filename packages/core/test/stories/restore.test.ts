import { describe, expect, it } from "vitest";
import { address, blankDisk, vm } from "../support/manifests.ts";
import {
  clone,
  machineSnapshot,
  readDisk,
  restoration,
  startMachine,
  writeDisk,
} from "../support/snapshots.ts";
import { World } from "../support/world.ts";

async function openWithSnapshot(spec: object = {}, snapshot: object = {}): Promise<World> {
  const world = await World.open();
  await startMachine(world, spec);
  await world.apply(machineSnapshot("s", "linux", snapshot));
  await world.untilPhase("VirtualMachineSnapshot", "s", "Ready");
  for (const name of ["root", "data"]) await writeDisk(world, name, `${name} after`);
  return world;
}

/** Makes the machine another one than in the snapshot. */
function changed(spec: object = {}): object {
  const provisioning = { type: "UserDataRef", userDataRef: { kind: "Secret", name: "init" } };
  const rest = { provisioning, terminationGracePeriodSeconds: 0, memory: { size: "3Gi" } };
  return vm("linux", ["root"], { ...rest, ...spec });
}

async function resultsOf(world: World, name: string): Promise<string[]> {
  const { status } = await world.platform.virtualMachineOperations.get(name);
  return (status?.resources ?? []).map(
    ({ kind, name: object, status: state }) => `${kind}/${object.split("-")[0]} ${state}`,
  );
}

describe("a restore", () => {
  it("brings a running machine back to its snapshot, and it runs again", async () => {
    await using world = await openWithSnapshot();
    const before = await world.vm("linux");
    await world.apply(changed());
    await world.platform.virtualDisks.delete("data");
    await world.apply(restoration("back"));
    await world.untilPhase("VirtualMachineOperation", "back", "Completed");
    const running = await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(running.metadata.uid).toBe(before.metadata.uid);
    expect(running.spec.memory.size).toBe("1Gi");
    expect(running.spec.blockDeviceRefs.map(({ name }) => name)).toEqual(["root", "data"]);
    expect(running.status?.ipAddress).toBe(before.status?.ipAddress);
    expect(running.status?.guest?.incarnation).toBe(2);
    expect(await readDisk(world, "root")).toBe("root before");
    expect(await readDisk(world, "data")).toBe("data before");
    expect(await resultsOf(world, "back")).toEqual([
      "Secret/init Completed",
      "VirtualMachineIPAddress/linux Completed",
      "VirtualDisk/root Completed",
      "VirtualDisk/data Completed",
      "VirtualMachine/linux Completed",
    ]);
    expect(world.storage.volumeNames()).toHaveLength(2);
    const pinned = await world.platform.virtualMachineIPAddresses.list();
    expect(pinned.items.map(({ spec }) => spec)).toEqual([
      { type: "Static", staticIP: "10.66.10.2" },
    ]);
  });

  it("leaves a machine off that was off", async () => {
    await using world = await openWithSnapshot();
    await world.apply(changed({ runPolicy: "AlwaysOff" }));
    await world.untilPhase("VirtualMachine", "linux", "Stopped");
    await world.apply(restoration("back"));
    await world.untilPhase("VirtualMachineOperation", "back", "Completed");
    expect(await readDisk(world, "root")).toBe("root before");
    expect((await world.vm("linux")).spec.runPolicy).toBe("AlwaysOnUnlessStoppedManually");
  });

  it("only says in DryRun what it would do", async () => {
    await using world = await openWithSnapshot();
    await world.apply(restoration("dry", "DryRun"));
    await world.untilPhase("VirtualMachineOperation", "dry", "Completed");
    expect(await resultsOf(world, "dry")).toHaveLength(5);
    expect(await readDisk(world, "root")).toContain("root after");
    expect((await world.vm("linux")).status?.guest?.incarnation).toBe(1);
  });

  it("is refused with a result for every object when something is in the way", async () => {
    await using world = await openWithSnapshot();
    await world.platform.virtualMachines.delete("linux");
    await world.untilGone("VirtualMachine", "linux");
    await world.apply(vm("other", ["root"]), blankDisk("spare"));
    await world.untilPhase("VirtualMachine", "other", "Running");
    await world.untilPhase("VirtualDisk", "spare", "Ready");
    await world.apply(vm("linux", ["spare"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.apply(restoration("back"));
    await world.untilPhase("VirtualMachineOperation", "back", "Failed");
    expect(await world.message("VirtualMachineOperation", "back", "Completed")).toBe(
      'VirtualDisk "root" is attached to different VirtualMachine "other": stop that VM or remove it there',
    );
    expect(await resultsOf(world, "back")).toContain("VirtualDisk/root Failed");
    expect(world.running()).toHaveLength(2);
    expect(await readDisk(world, "root")).toContain("root after");
  });

  it("keeps a changed secret only when it may", async () => {
    await using world = await openWithSnapshot();
    await world.platform.secrets.patch("init", { stringData: { userData: "#other" } });
    await world.apply(restoration("strict"));
    await world.untilPhase("VirtualMachineOperation", "strict", "Failed");
    expect(await world.message("VirtualMachineOperation", "strict", "Completed")).toContain(
      'Secret "init" has another content than in the snapshot',
    );
    await world.apply(restoration("best", "BestEffort"));
    await world.untilPhase("VirtualMachineOperation", "best", "Completed");
  });

  it("gives another address when the old one is not to be kept", async () => {
    await using world = await World.open();
    await world.apply(address("mine", { type: "Auto" }));
    await startMachine(world, { virtualMachineIPAddressName: "mine" });
    await world.apply(machineSnapshot("s", "linux", { keepIPAddress: "Never" }));
    await world.untilPhase("VirtualMachineSnapshot", "s", "Ready");
    await world.apply(changed());
    await world.apply(restoration("back"));
    await world.untilPhase("VirtualMachineOperation", "back", "Completed");
    const { spec } = await world.platform.virtualMachineIPAddresses.get("mine");
    expect(spec).toEqual({ type: "Auto" });
  });

  it("fails when the snapshot does not exist or is of another machine", async () => {
    await using world = await openWithSnapshot();
    await world.apply(restoration("none", "Strict", "missing"));
    await world.untilPhase("VirtualMachineOperation", "none", "Failed");
    expect(await world.message("VirtualMachineOperation", "none", "Completed")).toBe(
      'VirtualMachineSnapshot "missing" does not exist: create it or correct the name.',
    );
  });

  it("goes on to its end when it is deleted in the middle", async () => {
    await using world = await openWithSnapshot();
    const open = world.hypervisorGates.close("stopGuest");
    await world.apply(restoration("back"));
    await world.until("the stop", () => world.hypervisorGates.held("stopGuest") > 0);
    await world.platform.virtualMachineOperations.delete("back");
    await world.pass(10_000);
    open();
    await world.untilGone("VirtualMachineOperation", "back");
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(await readDisk(world, "root")).toBe("root before");
  });

  it("ends well, whenever the manager dies", { timeout: 240_000 }, async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithSnapshot();
      await world.apply(restoration("back"));
      world.writesLeft = writes;
      await world.pass(10_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilPhase("VirtualMachineOperation", "back", "Completed");
      await world.untilPhase("VirtualMachine", "linux", "Running");
      expect(world.running(), `after ${writes} writes`).toHaveLength(1);
      expect(await readDisk(world, "root"), `after ${writes} writes`).toBe("root before");
      expect(world.storage.volumeNames(), `after ${writes} writes`).toHaveLength(2);
    }
    expect(deaths).toBeGreaterThan(10);
  });
});

describe("a clone", () => {
  it("is another machine with the content of the first, and no snapshot stays", async () => {
    await using world = await openWithSnapshot();
    await world.platform.virtualMachineSnapshots.delete("s");
    await world.untilGone("VirtualMachineSnapshot", "s");
    await world.apply(clone("copy"));
    await world.untilPhase("VirtualMachineOperation", "copy", "Completed");
    await world.untilPhase("VirtualMachine", "copy-linux", "Running");
    expect(await readDisk(world, "copy-root")).toContain("root after");
    expect(await resultsOf(world, "copy")).toEqual([
      "Secret/copy Completed",
      "VirtualDisk/copy Completed",
      "VirtualDisk/copy Completed",
      "VirtualMachine/copy Completed",
    ]);
    await world.until("no snapshot", () => world.storage.snapshotNames().length === 0);
    expect((await world.platform.virtualMachineSnapshots.list()).items).toEqual([]);
    expect(world.running().map(({ frozen = false }) => frozen)).toEqual([false, false]);
    const [first, second] = [await world.vm("linux"), await world.vm("copy-linux")];
    expect(first.status?.ipAddress).not.toBe(second.status?.ipAddress);
  });

  it("is refused before a snapshot is taken when a name is taken", async () => {
    await using world = await openWithSnapshot();
    await world.apply(blankDisk("copy-root"), clone("dry", "DryRun"));
    await world.untilPhase("VirtualMachineOperation", "dry", "Failed");
    await world.apply(clone("copy"));
    await world.untilPhase("VirtualMachineOperation", "copy", "Failed");
    expect(await world.message("VirtualMachineOperation", "copy", "Completed")).toBe(
      "VirtualDisk with name copy-root already exists",
    );
    expect(world.storage.snapshotNames()).toHaveLength(2);
  });

  it("fails when the guest cannot be frozen, and leaves nothing", async () => {
    await using world = await openWithSnapshot();
    const error = new Error("the agent is busy");
    world.hypervisorFaults.rules.push({ verb: "freeze", error, times: 9 });
    await world.apply(clone("copy"));
    await world.untilPhase("VirtualMachineOperation", "copy", "Failed");
    expect(await world.message("VirtualMachineOperation", "copy", "Completed")).toContain(
      "the agent is busy",
    );
    await world.pass(10_000);
    expect((await world.platform.virtualMachineSnapshots.list()).items).toHaveLength(1);
    expect(await world.find("VirtualMachine", "copy-linux")).toBeUndefined();
  });

  it("ends well, whenever the manager dies", { timeout: 240_000 }, async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await World.open();
      await startMachine(world);
      await world.apply(clone("copy"));
      world.writesLeft = writes;
      await world.pass(10_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilPhase("VirtualMachineOperation", "copy", "Completed");
      await world.untilPhase("VirtualMachine", "copy-linux", "Running");
      await world.until("no snapshot", () => world.storage.snapshotNames().length === 0);
      expect(world.running(), `after ${writes} writes`).toHaveLength(2);
      expect(world.storage.volumeNames(), `after ${writes} writes`).toHaveLength(4);
    }
    expect(deaths).toBeGreaterThan(10);
  });
});
