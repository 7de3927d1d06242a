import { PolyvisorError, type VirtualMachineOperation } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { blankDisk, operation, vm, vmWithDisk } from "../support/manifests.ts";
import { World, type WorldOptions } from "../support/world.ts";

const LOST = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");
const AWAY = new PolyvisorError("POLYVISOR_UNAVAILABLE", "no answer");
const REFUSED = new PolyvisorError("POLYVISOR_REFUSED", "no room for the volume");

async function runningWorld(options: WorldOptions = {}, spec: object = {}): Promise<World> {
  const world = await World.open(options);
  await world.apply(...vmWithDisk("linux", spec));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await world.pass(0);
  return world;
}

async function find(world: World, name: string): Promise<VirtualMachineOperation> {
  const found = await world.find("VirtualMachineOperation", name);
  if (found === undefined) throw new Error(`no operation ${name}`);
  return found;
}

async function done(world: World, name: string): Promise<object> {
  await world.until(`operation ${name} over`, async () => {
    const { phase } = (await find(world, name)).status ?? {};
    return phase === "Completed" || phase === "Failed" || phase === "Superseded";
  });
  await world.pass(0);
  return state(await find(world, name));
}

function state({ status }: VirtualMachineOperation): object {
  const found = status?.conditions.find(({ type }) => type === "Completed");
  const { phase, progress } = status ?? {};
  return { phase, progress, reason: found?.reason, message: found?.message };
}

async function where(world: World): Promise<unknown> {
  const { status } = await world.vm("linux");
  return [status?.phase, status?.nodeName, world.running().map(({ host }) => host)];
}

/** Hosts on which the VM's disk is attached. */
function attached(world: World): string[] {
  return [...world.storage.attachments].map((text) => text.split(/[ @]/).at(-1) ?? "").sort();
}

describe("a migration", () => {
  it.each(["Migrate", "Evict"])("by %s moves the guest and its disks", async (type) => {
    await using world = await runningWorld();
    const before = await world.vm("linux");
    expect(before.status?.conditions).toContainEqual(
      expect.objectContaining({ type: "Migratable", status: "True" }),
    );
    const phases: string[] = [];
    const watching = world.platform.virtualMachines.watch({ signal: AbortSignal.timeout(60_000) });
    void (async () => {
      for await (const { resource } of watching)
        phases.push(`${resource.status?.phase} ${resource.status?.nodeName}`);
    })().catch(() => {});
    await world.apply(operation("it", type, "linux"));
    expect(await done(world, "it")).toMatchObject({
      phase: "Completed",
      progress: "100%",
      reason: "OperationCompleted",
    });
    expect(await where(world)).toEqual(["Running", "node-2", ["node-2"]]);
    expect(phases).toContain("Migrating node-1");
    const { status } = await world.vm("linux");
    expect(status?.guest).toMatchObject({ incarnation: 1, host: "node-2" });
    expect(status?.guest?.migration).toBeUndefined();
    expect(status?.stats?.lastStartTime).toBe(before.status?.stats?.lastStartTime);
    expect(status?.ipAddress).toBe(before.status?.ipAddress);
    expect(status?.migrationState).toMatchObject({
      result: "Succeeded",
      source: { node: "node-1" },
      target: { node: "node-2" },
    });
    expect([...world.storage.attachments]).toHaveLength(1);
    expect(attached(world)).toEqual(["node-2"]);
  });

  it("shows how far it has come", async () => {
    await using world = await runningWorld();
    const { migration } = world.hypervisor;
    if (migration === undefined) throw new Error("no migrations");
    migration.hold = true;
    await world.apply(operation("it", "Migrate", "linux"));
    await world.pass(1_000);
    expect(state(await find(world, "it"))).toMatchObject({
      phase: "InProgress",
      progress: "10%",
      reason: "Syncing",
    });
    expect(await where(world)).toEqual(["Migrating", "node-1", ["node-1"]]);
    expect(attached(world)).toEqual(["node-1", "node-2"]);
    const { metadata } = await world.vm("linux");
    const guest = world.hypervisor.guest(metadata.uid);
    if (guest) migration.finish(guest, "failed");
    expect(await done(world, "it")).toMatchObject({
      phase: "Failed",
      reason: "Failed",
      message: "the target ran out of luck",
    });
    expect(await where(world)).toEqual(["Running", "node-1", ["node-1"]]);
    expect(attached(world)).toEqual(["node-1"]);
  });

  it.each([
    ["before", AWAY],
    ["before", LOST],
    ["after", LOST],
  ] as const)("whose command fails %s it arrives is asked for again", async (when, error) => {
    await using world = await runningWorld();
    world.hypervisorFaults.rules.push({ verb: "start", when, error, times: 3 });
    await world.apply(operation("it", "Migrate", "linux"));
    expect(await done(world, "it")).toMatchObject({ phase: "Completed" });
    expect(await where(world)).toEqual(["Running", "node-2", ["node-2"]]);
    expect(attached(world)).toEqual(["node-2"]);
  });

  it("that is refused fails with the reason, and nothing is left of it", async () => {
    await using world = await runningWorld();
    world.hypervisorFaults.rules.push({ verb: "start", error: REFUSED });
    await world.apply(operation("it", "Migrate", "linux"));
    expect(await done(world, "it")).toMatchObject({
      phase: "Failed",
      reason: "TargetDiskError",
      message: "no room for the volume",
    });
    expect(await where(world)).toEqual(["Running", "node-1", ["node-1"]]);
    expect(attached(world)).toEqual(["node-1"]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    "comes to the same end when the manager dies after %d writes",
    async (writes) => {
      await using world = await runningWorld();
      await world.apply(operation("it", "Migrate", "linux"));
      world.writesLeft = writes;
      await world.pass(2_000);
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      expect(await done(world, "it")).toMatchObject({ phase: "Completed" });
      expect(await where(world)).toEqual(["Running", "node-2", ["node-2"]]);
      expect(attached(world)).toEqual(["node-2"]);
      expect((await world.vm("linux")).status?.guest?.incarnation).toBe(1);
    },
  );

  it("is called off by the deletion of its operation", async () => {
    await using world = await runningWorld();
    if (world.hypervisor.migration) world.hypervisor.migration.hold = true;
    await world.apply(operation("it", "Migrate", "linux"));
    await world.pass(1_000);
    expect(await where(world)).toEqual(["Migrating", "node-1", ["node-1"]]);
    await world.platform.virtualMachineOperations.delete("it");
    await world.untilGone("VirtualMachineOperation", "it");
    await world.pass(0);
    expect(await where(world)).toEqual(["Running", "node-1", ["node-1"]]);
    expect(attached(world)).toEqual(["node-1"]);
  });

  it("is called off for a Stop, and then the guest is stopped", async () => {
    await using world = await runningWorld();
    if (world.hypervisor.migration) world.hypervisor.migration.hold = true;
    await world.apply(operation("move", "Migrate", "linux"));
    await world.pass(1_000);
    await world.apply(operation("stop", "Stop", "linux"));
    expect(await done(world, "stop")).toMatchObject({ phase: "Completed" });
    expect(await done(world, "move")).toMatchObject({
      phase: "Superseded",
      message: "Superseded by stop with type Stop",
    });
    expect(world.running()).toEqual([]);
    await world.pass(60_000);
    expect([...world.storage.attachments]).toEqual([]);
  });

  it("ends when the guest does, and the guest starts again", async () => {
    await using world = await runningWorld();
    if (world.hypervisor.migration) world.hypervisor.migration.hold = true;
    await world.apply(operation("it", "Migrate", "linux"));
    await world.pass(1_000);
    const { metadata } = await world.vm("linux");
    world.hypervisor.endGuest(metadata.uid, "crashed");
    expect(await done(world, "it")).toMatchObject({ phase: "Failed" });
    await world.until("the second run", () => world.running()[0]?.incarnation === 2);
    await world.pass(1_000);
    expect(attached(world)).toEqual([world.running()[0]?.host]);
  });

  it("whose hosts are cut off starts nothing elsewhere, and is found out about afterwards", async () => {
    await using world = await runningWorld();
    const { migration } = world.hypervisor;
    if (migration === undefined) throw new Error("no migrations");
    migration.hold = true;
    await world.apply(operation("it", "Migrate", "linux"));
    await world.pass(1_000);
    world.hypervisor.setReachable("node-2", false);
    const { metadata } = await world.vm("linux");
    const guest = world.hypervisor.guest(metadata.uid);
    if (guest) migration.finish(guest);
    await world.pass(600_000);
    expect(world.running()).toHaveLength(1);
    expect((await world.vm("linux")).status?.guest).toMatchObject({ incarnation: 1 });
    world.hypervisor.setReachable("node-2", true);
    await world.until("the guest is found", async () => {
      const { status } = await world.vm("linux");
      return status?.phase === "Running" && status.nodeName === "node-2";
    });
    expect(world.running()).toMatchObject([{ host: "node-2", incarnation: 1 }]);
  });

  it("has no place to go to: waits, says why, and fails after five minutes", async () => {
    await using world = await runningWorld({ hosts: ["node-1"] });
    await world.apply(operation("it", "Evict", "linux"));
    await world.pass(10_000);
    expect(state(await find(world, "it"))).toMatchObject({
      phase: "InProgress",
      progress: "2%",
      reason: "TargetUnschedulable",
      message: "No host can take the VM: there are no hosts.",
    });
    await world.pass(300_000);
    expect(await done(world, "it")).toMatchObject({
      phase: "Failed",
      reason: "TargetUnschedulable",
      message:
        "Timed out preparing the migration target. No host can take the VM: there are no hosts.",
    });
    expect(await where(world)).toEqual(["Running", "node-1", ["node-1"]]);
  });

  it("goes where the operation says", async () => {
    await using world = await runningWorld({ hosts: ["node-1", "node-2", "node-3"] });
    const nodeSelector = { "kubernetes.io/hostname": "node-3" };
    await world.apply(operation("it", "Migrate", "linux", { migrate: { nodeSelector } }));
    expect(await done(world, "it")).toMatchObject({ phase: "Completed" });
    expect(await where(world)).toEqual(["Running", "node-3", ["node-3"]]);
  });

  it("waits for others from the same node", async () => {
    await using world = await runningWorld();
    const { migration } = world.hypervisor;
    if (migration === undefined) throw new Error("no migrations");
    migration.hold = true;
    const nodeSelector = { "kubernetes.io/hostname": "node-1" };
    await world.apply(...vmWithDisk("other", { nodeSelector }));
    await world.untilPhase("VirtualMachine", "other", "Running");
    await world.apply(vm("other", ["other"]));
    await world.pass(1_000);
    await world.apply(operation("one", "Migrate", "linux"), operation("two", "Migrate", "other"));
    await world.pass(1_000);
    expect(state(await find(world, "one"))).toMatchObject({ phase: "InProgress" });
    expect(state(await find(world, "two"))).toMatchObject({
      phase: "Pending",
      progress: "0%",
      reason: "MigrationPending",
      message: "Other Migrations are in progress",
    });
    migration.hold = false;
    const { metadata } = await world.vm("linux");
    const guest = world.hypervisor.guest(metadata.uid);
    if (guest) migration.finish(guest);
    expect(await done(world, "one")).toMatchObject({ phase: "Completed" });
    expect(await done(world, "two")).toMatchObject({ phase: "Completed" });
    expect(world.running().map(({ host }) => host)).toEqual(["node-2", "node-2"]);
  });

  it("is not for a VM with a disk that one host alone can have", async () => {
    const storageClasses = [
      {
        name: "local",
        isDefault: true,
        uses: [{ accessMode: "ReadWriteOnce", volumeMode: "Block" }],
        bindingMode: "Immediate",
        expandable: true,
      },
    ] as const;
    await using world = await runningWorld({ storageClasses });
    await world.apply(operation("it", "Migrate", "linux"));
    expect(await done(world, "it")).toMatchObject({
      phase: "Failed",
      reason: "NotReadyToBeExecuted",
      message: expect.stringMatching(
        /^VirtualMachine is not migratable, cannot be processed\. .*VirtualDisk "linux"/,
      ),
    });
  });
});

it("a disk of a migrating VM is not given to another one", async () => {
  await using world = await runningWorld();
  if (world.hypervisor.migration) world.hypervisor.migration.hold = true;
  await world.apply(operation("it", "Migrate", "linux"), blankDisk("spare"));
  await world.pass(1_000);
  await world.apply(vm("thief", ["linux"]));
  await world.pass(60_000);
  expect(world.running().map(({ name }) => name)).toEqual(["linux"]);
  expect(await world.message("VirtualMachine", "thief", "BlockDevicesReady")).toContain(
    'in use by VirtualMachine "linux"',
  );
});
