import type { VirtualMachineOperation } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

async function withRunningMachine(): Promise<World> {
  const world = await World.open();
  await world.apply(...vmWithDisk("linux", { runPolicy: "Manual" }));
  await world.untilPhase("VirtualMachine", "linux", "Stopped");
  await ended(world, world.platform.virtualMachines.start("linux"));
  return world;
}

/** The outcome of what needs time to pass. */
async function ended<T>(world: World, work: Promise<T>): Promise<T> {
  let done = false;
  const settled = work.finally(() => (done = true));
  settled.catch(() => {});
  await world.until("an end", () => done);
  return await settled;
}

describe("operations of the client", () => {
  it("start, restart and stop a VM, and say when it is done", async () => {
    await using world = await withRunningMachine();
    const { virtualMachines, virtualMachineOperations } = world.platform;
    const phase = async (): Promise<string | undefined> =>
      (await virtualMachines.get("linux")).status?.phase;
    expect(await phase()).toBe("Running");
    const restarted = await ended(world, virtualMachines.restart("linux"));
    expect(restarted).toMatchObject({
      metadata: { name: expect.stringMatching(/^restart-linux-\w{5}$/) },
      spec: { type: "Restart", virtualMachineName: "linux" },
      status: { phase: "Completed" },
    });
    expect((await virtualMachines.get("linux")).status?.guest?.incarnation).toBe(2);
    await ended(world, virtualMachines.stop("linux", { force: true }));
    expect(await phase()).toBe("Stopped");
    const { items } = await virtualMachineOperations.list();
    expect(items.map(({ spec }) => spec.type).toSorted()).toEqual(["Restart", "Start", "Stop"]);
  });

  it("move a VM to another node", async () => {
    await using world = await withRunningMachine();
    const { virtualMachines } = world.platform;
    const before = (await virtualMachines.get("linux")).status?.nodeName;
    await ended(world, virtualMachines.migrate("linux"));
    const after = (await virtualMachines.get("linux")).status?.nodeName;
    expect(after).toBe(before === "node-1" ? "node-2" : "node-1");
    await ended(world, virtualMachines.evict("linux"));
    expect((await virtualMachines.get("linux")).status?.nodeName).toBe(before);
  });

  it("say why they have failed", async () => {
    await using world = await withRunningMachine();
    const { virtualMachines } = world.platform;
    await expect(ended(world, virtualMachines.start("linux"))).rejects.toMatchObject({
      code: "POLYVISOR_FAILED",
      message: expect.stringMatching(
        /^VirtualMachineOperation "default\/start-linux-\w{5}" of type Start has failed: Operation type Start is not applicable for VirtualMachine in phase Running/,
      ) as string,
    });
    await expect(ended(world, virtualMachines.stop("nobody"))).rejects.toThrow(
      "has failed: VirtualMachine not found",
    );
  });

  it("give up waiting when asked to, or after a time", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux", { runPolicy: "Manual" }));
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, false);
    const { virtualMachines } = world.platform;
    await expect(
      ended(world, virtualMachines.start("linux", { timeout: 1000 })),
    ).rejects.toMatchObject({ code: "POLYVISOR_TIMEOUT" });
    const stopping = new AbortController();
    const waiting = virtualMachines.stop("linux", { signal: stopping.signal });
    stopping.abort(new Error("never mind"));
    await expect(waiting).rejects.toThrow("never mind");
  });

  it("say that somebody has deleted them", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux", { runPolicy: "Manual" }));
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, false);
    const work = world.platform.virtualMachines.start("linux");
    const operation = await world.until<VirtualMachineOperation | undefined>(
      "an operation",
      async () => {
        const { items } = await world.platform.virtualMachineOperations.list();
        return items[0];
      },
    );
    await world.platform.virtualMachineOperations.delete(operation.metadata.name);
    await expect(ended(world, work)).rejects.toThrow(
      `VirtualMachineOperation "default/${operation.metadata.name}" of type Start was deleted`,
    );
  });
});
