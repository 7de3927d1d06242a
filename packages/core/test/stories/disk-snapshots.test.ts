import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { blankDisk, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";
const NO_ANSWER = new PolyvisorError("POLYVISOR_UNAVAILABLE", "no agent answers");

function snapshot(name: string, disk: string, spec: object = {}): object {
  return {
    apiVersion: API,
    kind: "VirtualDiskSnapshot",
    metadata: { name },
    spec: { virtualDiskName: disk, ...spec },
  };
}

function diskOfSnapshot(name: string, from: string, size?: string): object {
  const objectRef = { kind: "VirtualDiskSnapshot", name: from };
  return {
    apiVersion: API,
    kind: "VirtualDisk",
    metadata: { name },
    spec: {
      dataSource: { type: "ObjectRef", objectRef },
      ...(size !== undefined && { persistentVolumeClaim: { size } }),
    },
  };
}

async function write(world: World, disk: string, text: string): Promise<void> {
  const { metadata } = await world.platform.virtualDisks.get(disk);
  world.storage.write(`vd-${metadata.uid}`, { offset: 0, bytes: Buffer.from(text) });
}

async function contentOf(world: World, disk: string): Promise<string> {
  const { metadata } = await world.platform.virtualDisks.get(disk);
  const written = world.storage.written(`vd-${metadata.uid}`);
  return written.map(({ bytes }) => Buffer.from(bytes).toString()).join(" ");
}

function frozen(world: World): boolean[] {
  return world.running().map((guest) => guest.frozen ?? false);
}

async function openWithGuest(agents: boolean): Promise<World> {
  const world = await World.open();
  world.hypervisor.withAgents = agents;
  await world.apply(blankDisk("root"), vm("linux", ["root"]));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  await write(world, "root", "before");
  return world;
}

describe("a snapshot of a disk", () => {
  it("of a disk that no VM uses is consistent, and makes other disks", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("root", "2Gi"));
    await world.untilPhase("VirtualDisk", "root", "Ready");
    await write(world, "root", "before");
    await world.apply(snapshot("s", "root"));
    const taken = await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
    expect(taken.status?.consistent).toBe(true);
    expect(world.storage.snapshotNames()).toEqual([taken.status?.volumeSnapshotName]);
    await write(world, "root", "after");
    await world.apply(diskOfSnapshot("same", "s"), diskOfSnapshot("larger", "s", "3Gi"));
    const same = await world.untilPhase("VirtualDisk", "same", "Ready");
    const larger = await world.untilPhase("VirtualDisk", "larger", "Ready");
    expect(same.status).toMatchObject({ capacity: "2Gi", sourceUID: taken.metadata.uid });
    expect(larger.status?.capacity).toBe("3Gi");
    expect(await contentOf(world, "same")).toBe("before");
    await world.platform.virtualDisks.delete("root");
    await world.untilGone("VirtualDisk", "root");
    await world.pass(3_600_000);
    expect((await world.find("VirtualDiskSnapshot", "s"))?.status?.phase).toBe("Ready");
    await world.platform.virtualDiskSnapshots.delete("s");
    await world.untilGone("VirtualDiskSnapshot", "s");
    expect(world.storage.snapshotNames()).toEqual([]);
  });

  it("of a running guest freezes it meanwhile", async () => {
    await using world = await openWithGuest(true);
    const away = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the storage does not answer");
    world.storageFaults.rules.push({ verb: "create", error: away });
    await world.apply(snapshot("s", "root"));
    const taken = await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
    expect(taken.status?.consistent).toBe(true);
    expect(taken.status?.frozenGuest).toBeUndefined();
    expect(frozen(world)).toEqual([false]);
  });

  it("without an agent fails, unless it need not be consistent", async () => {
    await using world = await openWithGuest(false);
    await world.apply(
      snapshot("strict", "root"),
      snapshot("loose", "root", { requiredConsistency: false }),
    );
    await world.untilPhase("VirtualDiskSnapshot", "strict", "Failed");
    expect(await world.message("VirtualDiskSnapshot", "strict", "VirtualDiskSnapshotReady")).toBe(
      'The snapshot would be potentially inconsistent: the virtual machine agent is not ready and the virtual machine cannot be frozen. Stop VirtualMachine "linux", install the agent in it, or set spec.requiredConsistency to false.',
    );
    const loose = await world.untilPhase("VirtualDiskSnapshot", "loose", "Ready");
    expect(loose.status?.consistent).toBeUndefined();
  });

  it("whose agent says no fails, or is taken as it is", async () => {
    await using world = await openWithGuest(true);
    world.hypervisorFaults.rules.push({ verb: "freeze", error: NO_ANSWER, times: 2 });
    await world.apply(snapshot("strict", "root"));
    await world.untilPhase("VirtualDiskSnapshot", "strict", "Failed");
    await world.apply(snapshot("loose", "root", { requiredConsistency: false }));
    const loose = await world.untilPhase("VirtualDiskSnapshot", "loose", "Ready");
    expect(loose.status?.consistent).toBeUndefined();
    expect(frozen(world)).toEqual([false]);
  });

  it("lets the guest go in the end, however long that takes", async () => {
    await using world = await openWithGuest(true);
    world.hypervisorFaults.rules.push({ verb: "thaw", error: NO_ANSWER, times: 5 });
    await world.apply(snapshot("s", "root"));
    await world.until("a thaw that is tried again", async () =>
      (await world.message("VirtualDiskSnapshot", "s", "VirtualDiskSnapshotReady"))?.includes(
        "to let its file systems go on: trying again",
      ),
    );
    await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
    expect(frozen(world)).toEqual([false]);
  });

  it("lets the guest go when the storage fails for good", async () => {
    await using world = await openWithGuest(true);
    world.storageFaults.rules.push({
      verb: "create",
      error: new Error("the disk is full"),
      times: 9,
    });
    await world.apply(snapshot("s", "root"));
    await world.untilPhase("VirtualDiskSnapshot", "s", "Failed");
    expect(frozen(world)).toEqual([false]);
    expect(world.storage.snapshotNames()).toEqual([]);
  });

  it("waits for its disk, and says what for", async () => {
    await using world = await World.open();
    await world.apply(snapshot("s", "root"));
    await world.untilPhase("VirtualDiskSnapshot", "s", "Pending");
    expect(await world.message("VirtualDiskSnapshot", "s", "VirtualDiskReady")).toBe(
      'VirtualDisk "root" does not exist: create it or correct the name.',
    );
    await world.apply(blankDisk("root"));
    await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
  });

  it("waits for a host that does not answer", async () => {
    await using world = await openWithGuest(true);
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, false);
    await world.pass(10_000);
    await world.apply(snapshot("s", "root"));
    await world.untilPhase("VirtualDiskSnapshot", "s", "Pending");
    for (const host of ["node-1", "node-2"]) world.hypervisor.setReachable(host, true);
    await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
  });

  it("that is lost says so", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("root"), snapshot("s", "root"));
    const taken = await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
    await world.storage.snapshots.delete(
      taken.status?.volumeSnapshotName ?? "",
      new AbortController().signal,
    );
    await world.untilPhase("VirtualDiskSnapshot", "s", "Failed");
    expect(await world.message("VirtualDiskSnapshot", "s", "VirtualDiskSnapshotReady")).toContain(
      "is gone from its storage",
    );
  });

  it("of two disks of one guest are taken one after the other", async () => {
    await using world = await World.open();
    world.hypervisor.withAgents = true;
    await world.apply(blankDisk("a"), blankDisk("b"), vm("linux", ["a", "b"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.apply(snapshot("sa", "a"), snapshot("sb", "b"));
    for (const name of ["sa", "sb"]) {
      const { status } = await world.untilPhase("VirtualDiskSnapshot", name, "Ready");
      expect(status?.consistent).toBe(true);
    }
    expect(frozen(world)).toEqual([false]);
  });
});

describe("a manager that dies after each of its writes", { timeout: 120_000 }, () => {
  it("leaves no guest frozen, and takes one snapshot", async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithGuest(true);
      await world.apply(snapshot("s", "root"));
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      const { status } = await world.untilPhase("VirtualDiskSnapshot", "s", "Ready");
      expect(status?.consistent, `after ${writes} writes`).toBe(true);
      expect(frozen(world), `after ${writes} writes`).toEqual([false]);
      expect(world.storage.snapshotNames(), `after ${writes} writes`).toHaveLength(1);
    }
    expect(deaths).toBeGreaterThan(2);
  });

  it("leaves no guest frozen when the snapshot is deleted meanwhile", async () => {
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithGuest(true);
      await world.apply(snapshot("s", "root"));
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.platform.virtualDiskSnapshots.delete("s");
      await world.untilGone("VirtualDiskSnapshot", "s");
      await world.pass(10_000);
      expect(frozen(world), `after ${writes} writes`).toEqual([false]);
      expect(world.storage.snapshotNames(), `after ${writes} writes`).toEqual([]);
    }
  });
});
