import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { diskOfImage, extents, IMAGE_URL, imageManifest, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const LOST = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");

async function openWithImage(): Promise<World> {
  const world = await World.open();
  world.images.serve(IMAGE_URL, { extents: extents() });
  return world;
}

function story(spec: object = {}): object[] {
  return [imageManifest(), diskOfImage("root"), vm("linux", ["root"], spec)];
}

/** Where the manager is ended, and what lets the world go on afterwards. */
const POINTS: Readonly<Record<string, (world: World) => Promise<() => void>>> = {
  "the image is imported": async (world) => {
    const open = world.imageGates.close("importImage");
    await world.apply(...story());
    await world.until("the import", () => world.imageGates.held("importImage") > 0);
    return open;
  },
  "the disk is filled": async (world) => {
    const open = world.imageGates.close("read");
    await world.apply(...story());
    await world.until("the reading", () => world.imageGates.held("read") > 0);
    return open;
  },
  "the disk is full and nobody was told": async (world) => {
    world.storageFaults.rules.push({ verb: "fill", error: LOST, when: "after" });
    await world.apply(...story());
    await world.untilPhase("VirtualDisk", "root", "Provisioning");
    return () => {};
  },
  "the guest is about to be started": async (world) => {
    const open = world.hypervisorGates.close("startGuest");
    await world.apply(...story());
    await world.until("the start", () => world.hypervisorGates.held("startGuest") > 0);
    expect((await world.vm("linux")).status?.phase).toBe("Starting");
    return open;
  },
  "the guest runs and nobody was told": async (world) => {
    world.hypervisorFaults.rules.push({
      verb: "startGuest",
      error: LOST,
      when: "after",
      times: 99,
    });
    await world.apply(...story());
    await world.until("the start", () => world.running().length > 0);
    world.hypervisorFaults.rules.length = 0;
    return () => {};
  },
  "the guest runs": async (world) => {
    await world.apply(...story());
    await world.untilPhase("VirtualMachine", "linux", "Running");
    return () => {};
  },
};

describe("a manager that is started anew", () => {
  it.each(Object.keys(POINTS))("while %s comes to the same end", async (point) => {
    await using world = await openWithImage();
    const goOn = await POINTS[point]?.(world);
    await world.stop();
    goOn?.();
    await world.start();
    const { metadata, status } = await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.pass(60_000);
    await world.restart();
    await world.pass(600_000);
    expect(world.running()).toMatchObject([{ uid: metadata.uid, incarnation: 1 }]);
    const after = await world.vm("linux");
    expect(after.status?.guest).toEqual(status?.guest);
    expect(after.status?.phase).toBe("Running");
    expect(world.storage.volumeNames()).toHaveLength(1);
    expect(world.storage.written(world.storage.volumeNames()[0] ?? "")).toHaveLength(2);
  });

  it("while the guest is being stopped goes on stopping it", async () => {
    await using world = await openWithImage();
    world.hypervisor.ignoreShutdown = true;
    await world.apply(...story());
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.apply(vm("linux", ["root"], { runPolicy: "AlwaysOff" }));
    await world.untilPhase("VirtualMachine", "linux", "Stopping");
    await world.restart();
    await world.pass(0);
    expect((await world.vm("linux")).status?.phase).toBe("Stopping");
    await world.pass(60_000);
    expect((await world.vm("linux")).status).toMatchObject({
      phase: "Stopped",
      guest: { incarnation: 1, stopReason: "StoppedByPolicy" },
    });
    expect(world.running()).toEqual([]);
  });

  it("finds out what guests did while it was away", async () => {
    await using world = await openWithImage();
    await world.apply(...story());
    const { metadata } = await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.stop();
    world.hypervisor.endGuest(metadata.uid, "guest-shutdown");
    await world.start();
    const { status } = await world.untilPhase("VirtualMachine", "linux", "Stopped");
    expect(status?.guest).toMatchObject({ stopReason: "GuestShutdown", incarnation: 1 });
  });

  it("while a host is cut off starts nothing that may run there", async () => {
    await using world = await openWithImage();
    await world.apply(...story());
    await world.untilPhase("VirtualMachine", "linux", "Running");
    world.hypervisor.setReachable("node-1", false);
    await world.restart();
    await world.pass(3_600_000);
    expect(world.running()).toMatchObject([{ incarnation: 1, host: "node-1" }]);
    const { status } = await world.vm("linux");
    expect(status?.conditions.find(({ type }) => type === "Running")?.status).toBe("Unknown");
    world.hypervisor.setReachable("node-1", true);
    await world.pass(0);
    expect((await world.vm("linux")).status?.conditions).toContainEqual(
      expect.objectContaining({ type: "Running", status: "True" }),
    );
    expect(world.running()).toMatchObject([{ incarnation: 1, host: "node-1" }]);
  });
});

describe("a manager that dies after each of its writes", { timeout: 120_000 }, () => {
  it("ends with one guest of the first incarnation, and one volume", async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithImage();
      await world.apply(...story());
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      const { status } = await world.untilPhase("VirtualMachine", "linux", "Running");
      await world.pass(600_000);
      expect(world.running(), `after ${writes} writes`).toHaveLength(1);
      expect(status?.guest?.incarnation, `after ${writes} writes`).toBe(1);
      expect(world.storage.volumeNames(), `after ${writes} writes`).toHaveLength(1);
      const { items } = await world.platform.virtualMachineIPAddresses.list();
      expect(items.map((claim) => claim.status?.address)).toEqual(["10.66.10.2"]);
    }
    expect(deaths).toBeGreaterThan(10);
  });

  it("leaves nothing of what was deleted", async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithImage();
      await world.apply(...story({ terminationGracePeriodSeconds: 0 }));
      await world.untilPhase("VirtualMachine", "linux", "Running");
      const { platform } = world;
      await Promise.all([
        platform.virtualMachines.delete("linux"),
        platform.virtualDisks.delete("root"),
        platform.virtualImages.delete("ubuntu"),
      ]);
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.pass(1_200_000);
      for (const kind of [
        "VirtualMachine",
        "VirtualDisk",
        "VirtualImage",
        "VirtualMachineIPAddress",
        "VirtualMachineIPAddressLease",
      ] as const) {
        const { items } = await world.platform.client(kind).list();
        expect(items, `${kind} after ${writes} writes`).toEqual([]);
      }
      expect((await world.hypervisor.guests()).guests).toEqual([]);
      expect(world.storage.volumeNames()).toEqual([]);
      expect([...world.storage.attachments], `after ${writes} writes`).toEqual([]);
      expect(world.images.names()).toEqual([]);
    }
    expect(deaths).toBeGreaterThan(5);
  });
});
