import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import {
  machineSnapshot,
  readDisk,
  snapshotOperation,
  startMachine,
  writeDisk,
} from "../support/snapshots.ts";
import { World } from "../support/world.ts";

function frozen(world: World): boolean[] {
  return world.running().map((guest) => guest.frozen ?? false);
}

async function openWithSnapshot(): Promise<World> {
  const world = await World.open();
  await startMachine(world);
  await world.apply(machineSnapshot("s", "linux"));
  await world.untilPhase("VirtualMachineSnapshot", "s", "Ready");
  return world;
}

describe("a snapshot of a machine", () => {
  it("covers the machine and all its disks", async () => {
    await using world = await openWithSnapshot();
    const { status, metadata } = await world.platform.virtualMachineSnapshots.get("s");
    expect(status?.consistent).toBe(true);
    expect(status?.virtualDiskSnapshotNames).toEqual([
      `root-${metadata.uid}`,
      `data-${metadata.uid}`,
    ]);
    expect(status?.resources?.map(({ kind, name }) => `${kind}/${name.split("-")[0]}`)).toEqual([
      "VirtualMachine/linux",
      "VirtualMachineIPAddress/linux",
      "Secret/init",
      "VirtualDisk/root",
      "VirtualDisk/data",
    ]);
    const secret = await world.platform.secrets.get(status?.virtualMachineSnapshotSecretName ?? "");
    expect(secret.type).toBe("virtualmachine.virtualization.deckhouse.io/snapshot");
    for (const name of status?.virtualDiskSnapshotNames ?? []) {
      const disk = await world.platform.virtualDiskSnapshots.get(name);
      expect(disk.status).toMatchObject({ phase: "Ready", consistent: true });
    }
    expect(frozen(world)).toEqual([false]);
    await world.platform.virtualMachineSnapshots.delete("s");
    await world.untilGone("VirtualMachineSnapshot", "s");
    await world.pass(10_000);
    expect(world.storage.snapshotNames()).toEqual([]);
    expect((await world.platform.secrets.list()).items).toHaveLength(1);
  });

  it("without an agent fails, or is taken as it is", async () => {
    await using world = await World.open();
    await startMachine(world);
    world.hypervisorFaults.rules.push({
      verb: "freeze",
      error: new PolyvisorError("POLYVISOR_REFUSED", "fsfreeze is forbidden"),
      times: 9,
    });
    await world.apply(
      machineSnapshot("strict", "linux"),
      machineSnapshot("loose", "linux", { requiredConsistency: false }),
    );
    await world.untilPhase("VirtualMachineSnapshot", "strict", "Failed");
    const message = await world.message(
      "VirtualMachineSnapshot",
      "strict",
      "VirtualMachineSnapshotReady",
    );
    expect(message).toContain("the agent could not freeze it (fsfreeze is forbidden)");
    const loose = await world.untilPhase("VirtualMachineSnapshot", "loose", "Ready");
    expect(loose.status?.consistent).toBeUndefined();
    expect(world.storage.snapshotNames()).toHaveLength(2);
    expect(frozen(world)).toEqual([false]);
  });

  it("waits for its machine, and says what for", async () => {
    await using world = await World.open();
    await world.apply(machineSnapshot("s", "linux"));
    await world.untilPhase("VirtualMachineSnapshot", "s", "Pending");
    expect(await world.message("VirtualMachineSnapshot", "s", "VirtualMachineReady")).toBe(
      'VirtualMachine "linux" does not exist: create it or correct the name.',
    );
    await startMachine(world);
    await world.untilPhase("VirtualMachineSnapshot", "s", "Ready");
  });

  it("fails when one of its disks is lost", async () => {
    await using world = await openWithSnapshot();
    const { status } = await world.platform.virtualMachineSnapshots.get("s");
    const [lost = ""] = status?.virtualDiskSnapshotNames ?? [];
    await world.platform.virtualDiskSnapshots.delete(lost);
    await world.untilPhase("VirtualMachineSnapshot", "s", "Failed");
    expect(
      await world.message("VirtualMachineSnapshot", "s", "VirtualMachineSnapshotReady"),
    ).toContain(`VirtualDiskSnapshot ${lost} is lost`);
  });

  it(
    "is taken once and lets the guest go, whenever the manager dies",
    { timeout: 120_000 },
    async () => {
      let deaths = 0;
      for (let writes = 0; ; writes += 1) {
        await using world = await World.open();
        await startMachine(world);
        await world.apply(machineSnapshot("s", "linux"));
        world.writesLeft = writes;
        await world.pass(3_000);
        if (world.writesLeft > 0) break;
        deaths += 1;
        await world.stop();
        world.writesLeft = Number.POSITIVE_INFINITY;
        await world.start();
        const { status } = await world.untilPhase("VirtualMachineSnapshot", "s", "Ready");
        expect(status?.consistent, `after ${writes} writes`).toBe(true);
        expect(frozen(world), `after ${writes} writes`).toEqual([false]);
        expect(world.storage.snapshotNames(), `after ${writes} writes`).toHaveLength(2);
      }
      expect(deaths).toBeGreaterThan(6);
    },
  );
});

describe("a new machine from a snapshot", () => {
  it("is made with disks and an address of its own", async () => {
    await using world = await openWithSnapshot();
    await writeDisk(world, "root", "root after");
    await world.apply(snapshotOperation("make"));
    const made = await world.untilPhase("VirtualMachineSnapshotOperation", "make", "Completed");
    expect(
      made.status?.resources?.map(({ kind, name, status }) => `${kind}/${name} ${status}`),
    ).toEqual([
      "Secret/copy-init Completed",
      "VirtualDisk/copy-root Completed",
      "VirtualDisk/copy-data Completed",
      "VirtualMachine/copy-linux Completed",
    ]);
    await world.untilPhase("VirtualMachine", "copy-linux", "Running");
    expect(await readDisk(world, "copy-root")).toBe("root before");
    const addresses = await Promise.all(["linux", "copy-linux"].map((name) => world.vm(name)));
    expect(addresses.map(({ status }) => status?.ipAddress)).toEqual(["10.66.10.2", "10.66.10.3"]);
    expect(world.running()).toHaveLength(2);
  });

  it("is only judged in DryRun, and refused with a result for every object when a name is taken", async () => {
    await using world = await openWithSnapshot();
    await world.apply(snapshotOperation("dry", "DryRun"));
    const dry = await world.untilPhase("VirtualMachineSnapshotOperation", "dry", "Completed");
    expect(dry.status?.resources).toHaveLength(4);
    expect(await world.find("VirtualMachine", "copy-linux")).toBeUndefined();
    await world.apply(snapshotOperation("make"));
    await world.untilPhase("VirtualMachineSnapshotOperation", "make", "Completed");
    await world.apply(snapshotOperation("again"));
    const again = await world.untilPhase("VirtualMachineSnapshotOperation", "again", "Failed");
    expect(again.status?.resources).toContainEqual({
      apiVersion: "virtualization.deckhouse.io/v1alpha2",
      kind: "VirtualDisk",
      name: "copy-root",
      status: "Failed",
      message: "VirtualDisk with name copy-root already exists",
    });
  });

  it("fails at once when there is no snapshot", async () => {
    await using world = await World.open();
    await world.apply(snapshotOperation("make"));
    await world.untilPhase("VirtualMachineSnapshotOperation", "make", "Failed");
    expect(await world.message("VirtualMachineSnapshotOperation", "make", "Completed")).toBe(
      'VirtualMachineSnapshot "s" does not exist: create it or correct the name.',
    );
  });

  it("is made once, whenever the manager dies", { timeout: 120_000 }, async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithSnapshot();
      await world.apply(snapshotOperation("make"));
      world.writesLeft = writes;
      await world.pass(5_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilPhase("VirtualMachineSnapshotOperation", "make", "Completed");
      await world.untilPhase("VirtualMachine", "copy-linux", "Running");
      expect(world.running(), `after ${writes} writes`).toHaveLength(2);
      expect(world.storage.volumeNames(), `after ${writes} writes`).toHaveLength(4);
    }
    expect(deaths).toBeGreaterThan(6);
  });
});
