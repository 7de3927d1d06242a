import type { RunPolicy, VirtualMachineOperation } from "@polyvisor/core";
import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { operation, vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

async function runningWorld(spec: object = {}): Promise<World> {
  const world = await World.open();
  await world.apply(...vmWithDisk("linux", spec));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await world.pass(0);
  return world;
}

async function done(world: World, name: string): Promise<VirtualMachineOperation> {
  return world.until(`operation ${name} over`, async () => {
    const found = await world.find("VirtualMachineOperation", name);
    const { phase } = found?.status ?? {};
    return phase === "Completed" || phase === "Failed" || phase === "Superseded"
      ? found
      : undefined;
  });
}

function completed({ status }: VirtualMachineOperation): object {
  const found = status?.conditions.find(({ type }) => type === "Completed");
  return { phase: status?.phase, reason: found?.reason, message: found?.message };
}

describe("an operation", () => {
  it.each<RunPolicy>(["Manual", "AlwaysOnUnlessStoppedManually"])(
    "stops, starts and restarts a VM under %s",
    async (runPolicy) => {
      await using world = await World.open();
      await world.apply(...vmWithDisk("linux", { runPolicy }));
      if (runPolicy === "Manual") {
        await world.untilPhase("VirtualMachine", "linux", "Stopped");
        await world.apply(operation("first", "Start", "linux"));
        await done(world, "first");
      }
      await world.untilPhase("VirtualMachine", "linux", "Running");
      await world.apply(operation("stop", "Stop", "linux"));
      expect(completed(await done(world, "stop"))).toMatchObject({
        phase: "Completed",
        reason: "OperationCompleted",
      });
      await world.pass(3_600_000);
      expect(world.running()).toEqual([]);
      expect((await world.vm("linux")).status?.phase).toBe("Stopped");
      expect(await world.message("VirtualMachine", "linux", "Running")).toBe(
        "The guest does not run: an operation stopped it.",
      );
      expect([...world.storage.attachments]).toEqual([]);
      await world.apply(operation("start", "Start", "linux"));
      expect(completed(await done(world, "start"))).toMatchObject({ phase: "Completed" });
      await world.untilPhase("VirtualMachine", "linux", "Running");
      const before = world.running()[0]?.incarnation ?? 0;
      await world.apply(operation("restart", "Restart", "linux"));
      const over = await done(world, "restart");
      expect(completed(over)).toMatchObject({ phase: "Completed" });
      expect(over.status?.conditions.find(({ type }) => type === "SignalSent")).toMatchObject({
        status: "True",
        reason: "SignalSentSuccess",
      });
      expect(world.running()).toMatchObject([{ incarnation: before + 1 }]);
    },
  );

  it("applies the changes that wait for it by a restart", async () => {
    await using world = await runningWorld();
    await world.apply(vm("linux", ["linux"], { cpu: { cores: 2, coreFraction: "100%" } }));
    const { status } = await world.until("the change", async () => {
      const found = await world.vm("linux");
      return found.status?.restartAwaitingChanges ? found : undefined;
    });
    expect(status?.restartAwaitingChanges).toEqual([
      { currentValue: 1, desiredValue: 2, operation: "replace", path: "cpu.cores" },
    ]);
    expect(status?.resources?.cpu.cores).toBe(1);
    await world.apply(operation("restart", "Restart", "linux"));
    await done(world, "restart");
    const { metadata, status: after } = await world.vm("linux");
    expect(after?.restartAwaitingChanges).toBeUndefined();
    expect(after?.resources?.cpu).toMatchObject({ cores: 2, requestedCores: "2000m" });
    expect(world.hypervisor.guest(metadata.uid)?.spec.cpu.coresPerSocket).toBe(2);
  });

  it.each<[string, string, object]>([
    ["Stop", "AlwaysOn", { reason: "NotApplicableForVirtualMachineRunPolicy" }],
    ["Start", "AlwaysOnUnlessStoppedManually", { reason: "NotApplicableForVirtualMachinePhase" }],
  ])("%s of a VM that runs under %s fails", async (type, runPolicy, expected) => {
    await using world = await runningWorld({ runPolicy });
    await world.apply(operation("it", type, "linux"));
    expect(completed(await done(world, "it"))).toMatchObject({ phase: "Failed", ...expected });
    expect(world.running()).toHaveLength(1);
  });

  it("of no VM fails", async () => {
    await using world = await World.open();
    await world.apply(operation("it", "Stop", "nobody"));
    expect(completed(await done(world, "it"))).toEqual({
      phase: "Failed",
      reason: "VirtualMachineNotFound",
      message: "VirtualMachine not found",
    });
  });

  it("that is forced gives the guest no time, and takes the place of one that does", async () => {
    await using world = await runningWorld({ terminationGracePeriodSeconds: 600 });
    world.hypervisor.ignoreShutdown = true;
    await world.apply(operation("gentle", "Stop", "linux"));
    await world.pass(10_000);
    expect((await world.vm("linux")).status?.phase).toBe("Stopping");
    await world.apply(operation("forced", "Stop", "linux", { force: true }));
    expect(completed(await done(world, "forced"))).toMatchObject({ phase: "Completed" });
    expect(completed(await done(world, "gentle"))).toEqual({
      phase: "Superseded",
      reason: "Superseded",
      message: "Superseded by forced with type Stop",
    });
    expect(world.running()).toEqual([]);
  });

  it("is carried out once over a restart of the manager, and one is not lost either", async () => {
    await using world = await runningWorld();
    await world.apply(operation("restart", "Restart", "linux"));
    for (let writes = 0; writes < 12; writes += 1) {
      world.writesLeft = 1;
      await world.pass(1_000);
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
    }
    expect(completed(await done(world, "restart"))).toMatchObject({ phase: "Completed" });
    await world.pass(3_600_000);
    expect(world.running()).toMatchObject([{ incarnation: 2 }]);
  });

  it("Start of a Manual VM that its host refuses fails and says why", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux", { runPolicy: "Manual" }));
    await world.untilPhase("VirtualMachine", "linux", "Stopped");
    const error = new PolyvisorError("POLYVISOR_REFUSED", "no room in the inn");
    world.hypervisorFaults.rules.push({ verb: "startGuest", error });
    await world.apply(operation("start", "Start", "linux"));
    expect(completed(await done(world, "start"))).toMatchObject({
      phase: "Failed",
      reason: "OperationFailed",
      message: expect.stringContaining("no room in the inn"),
    });
    expect((await world.vm("linux")).status?.phase).toBe("Stopped");
  });

  it("Start of a VM that cannot start yet goes on waiting and says for what", async () => {
    await using world = await World.open();
    await world.apply(vm("linux", ["missing"], { runPolicy: "Manual" }));
    await world.untilPhase("VirtualMachine", "linux", "Stopped");
    await world.apply(operation("start", "Start", "linux"));
    await world.pass(60_000);
    expect((await world.vm("linux")).status?.phase).toBe("Pending");
    const found = await world.find("VirtualMachineOperation", "start");
    expect(found?.status?.phase).toBe("InProgress");
    expect(found?.status?.conditions[0]?.message).toContain('VirtualDisk "missing" does not exist');
    await world.apply(...vmWithDisk("missing", { runPolicy: "AlwaysOff" }));
    await world.apply(vm("missing", ["other"], { runPolicy: "AlwaysOff" }));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(completed(await done(world, "start"))).toMatchObject({ phase: "Completed" });
  });

  it("that has ended is removed at midnight when a day has passed", async () => {
    await using world = await runningWorld();
    await world.apply(operation("restart", "Restart", "linux"));
    await done(world, "restart");
    await world.pass(20 * 3_600_000);
    expect(await world.find("VirtualMachineOperation", "restart")).toBeDefined();
    await world.pass(30 * 3_600_000);
    expect(await world.find("VirtualMachineOperation", "restart")).toBeUndefined();
  });
});

describe("a guest that asks for a reboot", () => {
  it.each<RunPolicy>(["AlwaysOn", "AlwaysOnUnlessStoppedManually", "Manual"])(
    "starts again under %s with the changes that have waited",
    async (runPolicy) => {
      await using world = await World.open();
      await world.apply(...vmWithDisk("linux", { runPolicy }));
      if (runPolicy === "Manual") {
        await world.pass(0);
        await world.apply(operation("start", "Start", "linux"));
      }
      const { metadata } = await world.untilPhase("VirtualMachine", "linux", "Running");
      await world.apply(vm("linux", ["linux"], { runPolicy, memory: { size: "2Gi" } }));
      await world.pass(100);
      world.hypervisor.endGuest(metadata.uid, "guest-reset");
      await world.until("the second run", () => world.running()[0]?.incarnation === 2);
      expect(world.hypervisor.guest(metadata.uid)?.spec.memoryBytes).toBe(2 ** 31);
    },
  );
});

it("changes restart a VM by themselves that approves of it", async () => {
  await using world = await runningWorld({ disruptions: { restartApprovalMode: "Automatic" } });
  const changed = { disruptions: { restartApprovalMode: "Automatic" }, memory: { size: "2Gi" } };
  await world.apply(vm("linux", ["linux"], changed));
  const { metadata } = await world.until("the restart", async () => {
    const found = await world.vm("linux");
    return found.status?.guest?.incarnation === 2 && found.status.phase === "Running"
      ? found
      : undefined;
  });
  expect(world.hypervisor.guest(metadata.uid)?.spec.memoryBytes).toBe(2 ** 31);
  await world.pass(3_600_000);
  expect(world.running()).toMatchObject([{ incarnation: 2 }]);
});
