import { describe, expect, it } from "vitest";
import { blankDisk, diskOfUrl, operation, vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

describe("waitFor", () => {
  it("waits for a phase of a resource that is yet to be created", async () => {
    await using world = await World.open();
    const waiting = world.platform.virtualMachines.waitFor("linux", { phase: "Running" });
    await world.pass(10);
    await world.apply(...vmWithDisk("linux"));
    expect((await waiting).status?.nodeName).toBe("node-1");
  });

  it("waits for a condition, for whatever a function says, and for the end", async () => {
    await using world = await World.open();
    const { virtualDisks, virtualMachines } = world.platform;
    await world.apply(...vmWithDisk("linux"));
    await virtualDisks.waitFor("linux", { condition: "InUse" });
    await virtualMachines.waitFor("linux", {
      until: ({ status }) => status?.ipAddress !== undefined,
    });
    const gone = virtualMachines.waitFor("linux", { deleted: true });
    await virtualMachines.delete("linux");
    expect((await gone).metadata.name).toBe("linux");
    await expect(virtualMachines.waitFor("linux", { deleted: true })).rejects.toMatchObject({
      code: "POLYVISOR_NOT_FOUND",
    });
  });

  it("ends with an error when an operation is superseded", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, false);
    await world.apply(operation("first", "Stop", "linux"));
    const refused = expect(
      world.platform.virtualMachineOperations.waitFor("first", { phase: "Completed" }),
    ).rejects.toMatchObject({
      code: "POLYVISOR_FAILED",
      message: expect.stringMatching(
        /^VirtualMachineOperation "default\/first" was superseded\. .*Superseded by second with type Stop/,
      ) as string,
    });
    await world.apply(operation("second", "Stop", "linux", { force: true }));
    await world.pass(1000);
    await refused;
  });

  it("is over at once when the goal is reached already", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d"));
    await world.untilPhase("VirtualDisk", "d", "Ready");
    const { virtualDisks } = world.platform;
    const disk = await virtualDisks.waitFor("d", { phase: "Ready" }, { timeout: 0 });
    expect(disk.status?.phase).toBe("Ready");
  });

  it.each<[string, object[], string]>([
    [
      "nothing is there",
      [],
      'VirtualMachine "default/linux" did not reach phase Running within 30000 ms. It does not exist.',
    ],
    [
      "a disk is missing",
      [vm("linux", ["linux"])],
      'VirtualMachine "default/linux" did not reach phase Running within 30000 ms. Its phase is Pending. BlockDevicesReady: spec.blockDeviceRefs[0]: VirtualDisk "linux" does not exist: create it or correct the name.',
    ],
    [
      "no host is large enough",
      vmWithDisk("linux", { memory: { size: "1Ti" } }),
      'VirtualMachine "default/linux" did not reach phase Running within 30000 ms. Its phase is Pending. Running: No host can take the VM: node-1 has 64.0 GiB of memory left, and the VM needs 1.0 TiB; node-2 has 64.0 GiB of memory left, and the VM needs 1.0 TiB.',
    ],
  ])("says in its timeout what holds it up, when %s", async (_, manifests, message) => {
    await using world = await World.open();
    const { virtualMachines } = world.platform;
    const waiting = virtualMachines.waitFor("linux", { phase: "Running" }, { timeout: 30_000 });
    const failed = expect(waiting).rejects.toMatchObject({ code: "POLYVISOR_TIMEOUT", message });
    await world.apply(...manifests);
    await world.pass(30_000);
    await failed;
  });

  it("says in its timeout what holds a deletion up", async () => {
    await using world = await World.open();
    const { virtualDisks } = world.platform;
    await world.apply(...vmWithDisk("linux"));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await virtualDisks.delete("linux");
    const waiting = virtualDisks.waitFor("linux", { deleted: true }, { timeout: 1_000 });
    const failed = expect(waiting).rejects.toThrow(
      'VirtualDisk "default/linux" did not reach its deletion within 1000 ms. Its phase is Terminating. Terminating: The disk is in use by VirtualMachine "linux": it goes when the VM has stopped or no longer names it.',
    );
    await world.pass(1_000);
    await failed;
  });

  it("fails when the resource has failed, unless that is what is waited for", async () => {
    await using world = await World.open();
    const { virtualDisks } = world.platform;
    const failed = expect(virtualDisks.waitFor("d", { phase: "Ready" })).rejects.toMatchObject({
      code: "POLYVISOR_FAILED",
      message: expect.stringMatching(
        /^VirtualDisk "default\/d" has failed\. Its phase is Failed\. Ready: .* answers 404$/,
      ),
    });
    const seen = virtualDisks.waitFor("d", { phase: "Failed" });
    await world.apply(diskOfUrl("d"));
    await failed;
    expect((await seen).status?.phase).toBe("Failed");
  });

  it("ends with the reason of its signal", async () => {
    await using world = await World.open();
    const ending = new AbortController();
    const { signal } = ending;
    const waiting = world.platform.virtualMachines.waitFor(
      "linux",
      { phase: "Running" },
      { signal },
    );
    const failed = expect(waiting).rejects.toThrow("enough");
    await world.pass(0);
    ending.abort(new Error("enough"));
    await failed;
    const late = world.platform.virtualMachines.waitFor("linux", { phase: "Running" }, { signal });
    await expect(late).rejects.toThrow("enough");
  });

  it("throws what its function throws", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d"));
    const until = (): boolean => {
      throw new Error("a bug of the caller");
    };
    await expect(world.platform.virtualDisks.waitFor("d", { until })).rejects.toThrow("a bug");
  });

  it("is told when the store is closed", async () => {
    const world = await World.open();
    const waiting = world.platform.virtualMachines.waitFor("linux", { phase: "Running" });
    const failed = expect(waiting).rejects.toMatchObject({ code: "POLYVISOR_CLOSED" });
    await world.pass(0);
    await world[Symbol.asyncDispose]();
    await failed;
  });
});
