import { PolyvisorError, type StorageClassInfo } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import {
  blankDisk,
  diskOfImage,
  extents,
  IMAGE_URL,
  imageManifest,
  vm,
} from "../support/manifests.ts";
import { World } from "../support/world.ts";

const AWAY = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the storage does not answer");

function storageClass(name: string, more: Partial<StorageClassInfo> = {}): StorageClassInfo {
  return {
    name,
    isDefault: false,
    uses: [
      { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" },
      { accessMode: "ReadWriteMany", volumeMode: "Block" },
    ],
    bindingMode: "Immediate",
    expandable: true,
    ...more,
  };
}

const LATE = storageClass("late", {
  bindingMode: "WaitForFirstConsumer",
  uses: [{ accessMode: "ReadWriteOnce", volumeMode: "Block" }],
});

function settings(virtualDisks: object): { spec: { settings: object } } {
  return { spec: { settings: { virtualDisks } } };
}

async function volumeOf(world: World, disk: string): Promise<object | undefined> {
  const { metadata } = await world.platform.virtualDisks.get(disk);
  return world.storage.getVolume(`vd-${metadata.uid}`);
}

function onClass(name: string, storageClassName: string, more: object = {}): object {
  const { metadata, ...rest } = blankDisk(name) as { metadata: object };
  const spec = { persistentVolumeClaim: { size: "1Gi", storageClassName } };
  return { ...rest, metadata: { ...metadata, ...more }, spec };
}

describe("the class of a disk", () => {
  const storageClasses = [
    storageClass("r1", { isDefault: true }),
    storageClass("r2"),
    storageClass("r3"),
  ];

  it("is the marked one, or that of the settings, and gives the best modes that it has", async () => {
    await using world = await World.open({ storageClasses });
    await world.apply(blankDisk("marked"));
    await world.untilPhase("VirtualDisk", "marked", "Ready");
    await world.platform.moduleConfigs.patch(
      "virtualization",
      settings({ defaultStorageClassName: "r2" }),
    );
    await world.apply(blankDisk("set"));
    const disk = await world.untilPhase("VirtualDisk", "set", "Ready");
    expect(disk.status?.storageClassName).toBe("r2");
    expect(await volumeOf(world, "set")).toMatchObject({
      storageClass: "r2",
      use: { accessMode: "ReadWriteMany", volumeMode: "Block" },
    });
  });

  it("must be an allowed one", async () => {
    await using world = await World.open({ storageClasses });
    const allowedStorageClassSelector = { matchNames: ["r2"] };
    await world.platform.moduleConfigs.patch(
      "virtualization",
      settings({ allowedStorageClassSelector }),
    );
    await world.apply(onClass("d", "r3"));
    await world.untilPhase("VirtualDisk", "d", "Pending");
    expect(await world.message("VirtualDisk", "d", "StorageClassReady")).toBe(
      'spec.persistentVolumeClaim.storageClassName: StorageClass "r3" is not among those that spec.settings.virtualDisks of ModuleConfig/virtualization allows: choose one of r2.',
    );
    await world.apply(onClass("d", "r2"));
    await world.untilPhase("VirtualDisk", "d", "Ready");
  });

  it("gives the modes that annotations ask for", async () => {
    await using world = await World.open({ storageClasses });
    const annotations = {
      "virtualdisk.virtualization.deckhouse.io/access-mode": "ReadWriteOnce",
    };
    await world.apply(onClass("d", "r2", { annotations }));
    await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(await volumeOf(world, "d")).toMatchObject({
      use: { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" },
    });
  });
});

describe("a disk that waits for its first VM", () => {
  it("is made on the host that the VM gets", async () => {
    await using world = await World.open({ storageClasses: [storageClass("r1"), LATE] });
    world.images.serve(IMAGE_URL, { extents: extents() });
    const disk = diskOfImage("d") as { spec: object };
    await world.apply(imageManifest(), {
      ...disk,
      spec: { ...disk.spec, persistentVolumeClaim: { storageClassName: "late" } },
    });
    await world.untilPhase("VirtualDisk", "d", "WaitForFirstConsumer");
    expect(await world.message("VirtualDisk", "d", "Ready")).toBe(
      "Awaiting the creation and scheduling of the VirtualMachine with the attached VirtualDisk.",
    );
    await world.pass(3_600_000);
    expect(world.storage.volumeNames()).toEqual([]);
    world.hypervisor.setReachable("node-1", false);
    await world.pass(10_000);
    await world.apply(vm("linux", ["d"]));
    const running = await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(running.status?.nodeName).toBe("node-2");
    expect(await volumeOf(world, "d")).toMatchObject({ hosts: ["node-2"] });
  });
});

describe("a disk that grows", () => {
  async function openWithDisk(more: Partial<StorageClassInfo> = {}): Promise<World> {
    const world = await World.open({
      storageClasses: [storageClass("r1", { isDefault: true, snapshotClass: "s", ...more })],
    });
    await world.apply(blankDisk("d", "10Gi"), vm("linux", ["d"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    return world;
  }

  // The commands are the user guide's.
  it("does so while its VM runs", async () => {
    await using world = await openWithDisk();
    const size = { spec: { persistentVolumeClaim: { size: "11Gi" } } };
    await world.platform.virtualDisks.patch("d", size);
    await world.until("11Gi", async () => {
      const { status } = await world.platform.virtualDisks.get("d");
      return status?.phase === "Ready" && status.capacity === "11Gi";
    });
    expect(await volumeOf(world, "d")).toMatchObject({ sizeBytes: 11 * 2 ** 30 });
    expect(world.running()).toHaveLength(1);
    await expect(
      world.platform.virtualDisks.patch("d", {
        spec: { persistentVolumeClaim: { size: "9Gi" } },
      }),
    ).rejects.toThrow("should be greater than or equal to the current value");
  });

  it("says so, and tries again when the storage does not answer", async () => {
    await using world = await openWithDisk();
    world.storageFaults.rules.push({ verb: "expand", error: AWAY, times: 3 });
    await world.platform.virtualDisks.patch("d", {
      spec: { persistentVolumeClaim: { size: "11Gi" } },
    });
    await world.untilPhase("VirtualDisk", "d", "Resizing");
    expect(await world.message("VirtualDisk", "d", "Resizing")).toMatch(/11Gi|trying again/);
    const ready = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(ready.status?.capacity).toBe("11Gi");
  });

  it("says why it cannot", async () => {
    await using world = await openWithDisk({ expandable: false });
    await world.platform.virtualDisks.patch("d", {
      spec: { persistentVolumeClaim: { size: "11Gi" } },
    });
    await world.until("the reason", async () =>
      (await world.message("VirtualDisk", "d", "Resizing"))?.includes("cannot be expanded"),
    );
    expect((await world.find("VirtualDisk", "d"))?.status).toMatchObject({
      phase: "Ready",
      capacity: "10Gi",
    });
  });

  it("grows once, whenever the manager dies", { timeout: 60_000 }, async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await openWithDisk();
      await world.platform.virtualDisks.patch("d", {
        spec: { persistentVolumeClaim: { size: "11Gi" } },
      });
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.until("11Gi", async () => {
        const { status } = await world.platform.virtualDisks.get("d");
        return status?.phase === "Ready" && status.capacity === "11Gi";
      });
      expect(world.running(), `after ${writes} writes`).toHaveLength(1);
    }
    expect(deaths).toBeGreaterThan(1);
  });
});

describe("a disk whose volume is gone", () => {
  it("says so, and recovers when it is back", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d"));
    const { metadata } = await world.untilPhase("VirtualDisk", "d", "Ready");
    const name = `vd-${metadata.uid}`;
    const volume = await world.storage.getVolume(name);
    await world.storage.deleteVolume(name);
    await world.untilPhase("VirtualDisk", "d", "PVCLost");
    expect(await world.message("VirtualDisk", "d", "Ready")).toContain("is gone from its storage");
    if (volume) await world.storage.createVolume(volume);
    await world.untilPhase("VirtualDisk", "d", "Ready");
  });
});
