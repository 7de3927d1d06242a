import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { diskOfImage, extents, IMAGE_URL, imageManifest, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const AWAY = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the storage does not answer");
const LOST = new PolyvisorError("POLYVISOR_OUTCOME_UNKNOWN", "the answer was lost");

const VERBS = ["createVolume", "fill", "deleteVolume", "getVolume", "attach", "detach"];
const CASES = VERBS.flatMap((verb) =>
  (["before", "after"] as const).flatMap((when) =>
    [1, 3].map((times) => ({ verb, when, times, error: when === "before" ? AWAY : LOST })),
  ),
);

describe("a storage that fails", () => {
  it.each(CASES)("$when $verb, $times times, changes nothing in the end", async (fault) => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    world.storageFaults.rules.push(fault);
    await world.apply(imageManifest(), diskOfImage("root"), vm("linux", ["root"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    const disk = await world.platform.virtualDisks.get("root");
    const volume = `vd-${disk.metadata.uid}`;
    expect(world.storage.volumeNames()).toEqual([volume]);
    expect(world.storage.written(volume)).toHaveLength(2);
    expect(world.running()).toHaveLength(1);
    await world.platform.virtualMachines.delete("linux");
    await world.untilGone("VirtualMachine", "linux");
    await world.platform.virtualDisks.delete("root");
    await world.untilGone("VirtualDisk", "root");
    expect(world.storage.volumeNames()).toEqual([]);
    expect([...world.storage.attachments]).toEqual([]);
  });

  it.each([
    ["getVolume", "Pending"],
    ["attach", "Starting"],
  ])("for long at %s is named by the VM that is %s", async (verb, phase) => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest(), diskOfImage("root"));
    await world.untilPhase("VirtualDisk", "root", "Ready");
    world.storageFaults.rules.push({ verb, error: AWAY, times: 10 });
    await world.apply(vm("linux", ["root"]));
    await world.pass(1_000);
    expect((await world.vm("linux")).status?.phase).toBe(phase);
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe(AWAY.message);
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe("");
  });

  it("when a volume is to be deleted is named by the disk, which goes in the end", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest(), diskOfImage("root"));
    await world.untilPhase("VirtualDisk", "root", "Ready");
    world.storageFaults.rules.push({ verb: "deleteVolume", error: AWAY, times: 4 });
    await world.platform.virtualDisks.delete("root");
    await world.untilPhase("VirtualDisk", "root", "Terminating");
    expect(await world.message("VirtualDisk", "root", "Terminating")).toContain(AWAY.message);
    await world.untilGone("VirtualDisk", "root");
    expect(world.storage.volumeNames()).toEqual([]);
  });

  it("when it is filled for good makes the disk fail, and leaves no volume", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    world.storageFaults.rules.push({ verb: "fill", error: AWAY, times: 5 });
    await world.apply(imageManifest(), diskOfImage("root"));
    await world.untilPhase("VirtualDisk", "root", "Failed");
    expect(await world.message("VirtualDisk", "root", "Ready")).toBe(AWAY.message);
    expect(world.storage.volumeNames()).toEqual([]);
    await world.apply(diskOfImage("root", "ubuntu", "1Gi"));
    await world.untilPhase("VirtualDisk", "root", "Ready");
    expect(world.storage.volumeNames()).toHaveLength(1);
  });

  it("has a volume left of an earlier attempt, which is not filled a second time", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(diskOfImage("root"));
    const { metadata } = await world.untilPhase("VirtualDisk", "root", "Pending");
    const name = `vd-${metadata.uid}`;
    const use = { accessMode: "ReadWriteMany", volumeMode: "Block" } as const;
    await world.storage.createVolume({ name, storageClass: "fake", sizeBytes: 4 * 2 ** 20, use });
    const deleted: string[] = [];
    const deleteVolume = world.storage.deleteVolume.bind(world.storage);
    world.storage.deleteVolume = async (volume) => {
      if (world.storage.volumeNames().includes(volume)) deleted.push(volume);
      await deleteVolume(volume);
    };
    await world.apply(imageManifest());
    await world.untilPhase("VirtualDisk", "root", "Ready");
    expect(deleted).toEqual([name]);
    expect(world.storage.volumeNames()).toEqual([name]);
  });

  it("has a volume that is gone, which the VM says", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest(), diskOfImage("root"));
    const disk = await world.untilPhase("VirtualDisk", "root", "Ready");
    await world.storage.deleteVolume(`vd-${disk.metadata.uid}`);
    await world.apply(vm("linux", ["root"]));
    await world.untilPhase("VirtualMachine", "linux", "Pending");
    expect(await world.message("VirtualMachine", "linux", "Running")).toBe(
      'The volume of VirtualDisk "root" is gone: restore it or create another disk.',
    );
  });
});
