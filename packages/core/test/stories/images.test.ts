import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import {
  blankDisk,
  diskOfImage,
  diskOfUrl,
  extents,
  IMAGE_URL,
  imageManifest,
} from "../support/manifests.ts";
import { World } from "../support/world.ts";

const AWAY = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the server does not answer");
const WRONG = new PolyvisorError("POLYVISOR_INVALID", "the checksum is another one");

describe("an image", () => {
  it("whose import fails is tried again with growing pauses, then succeeds", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    world.imageFaults.rules.push({ verb: "importImage", error: AWAY, times: 3 });
    const began = world.clock.now();
    await world.apply(imageManifest());
    await world.pass(0);
    expect((await world.find("VirtualImage", "ubuntu"))?.status?.phase).toBe("Provisioning");
    for (const [at, seconds] of [
      [0, 2],
      [2_000, 4],
      [6_000, 8],
    ] as const) {
      await world.pass(began + at - world.clock.now());
      expect(await world.message("VirtualImage", "ubuntu", "Ready")).toBe(
        `the server does not answer (trying again in ${seconds} s)`,
      );
    }
    await world.pass(began + 13_999 - world.clock.now());
    expect(world.images.names()).toEqual([]);
    await world.pass(1);
    expect((await world.find("VirtualImage", "ubuntu"))?.status?.phase).toBe("Ready");
  });

  it("fails after five attempts, and is tried again when its source is corrected", async () => {
    await using world = await World.open();
    world.imageFaults.rules.push({ verb: "importImage", error: AWAY, times: 5 });
    await world.apply(imageManifest("ubuntu", `${IMAGE_URL}.old`));
    await world.pass(29_000);
    expect((await world.find("VirtualImage", "ubuntu"))?.status?.phase).toBe("Provisioning");
    await world.pass(1_000);
    const failed = await world.untilPhase("VirtualImage", "ubuntu", "Failed");
    expect(failed.status?.conditions.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      reason: "ProvisioningFailed",
      message: "spec.dataSource.http: the server does not answer",
    });
    await world.pass(3_600_000);
    expect((await world.find("VirtualImage", "ubuntu"))?.status?.phase).toBe("Failed");
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest());
    await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    expect(world.images.names()).toHaveLength(1);
  });

  it("fails at once when trying again cannot help", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, WRONG);
    await world.apply(imageManifest());
    await world.pass(0);
    expect((await world.find("VirtualImage", "ubuntu"))?.status?.phase).toBe("Failed");
    expect(await world.message("VirtualImage", "ubuntu", "Ready")).toBe(
      "spec.dataSource.http: the checksum is another one",
    );
  });

  it("shows its progress", async () => {
    await using world = await World.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.images.serve(IMAGE_URL, { extents: extents(), until: promise });
    await world.apply(imageManifest());
    await world.until("progress", async () => {
      const { status } = await world.platform.virtualImages.get("ubuntu");
      return status?.phase === "Provisioning" && status.progress === "50.0%";
    });
    resolve();
    await world.untilPhase("VirtualImage", "ubuntu", "Ready");
  });

  it("that is deleted while it is imported leaves nothing", async () => {
    await using world = await World.open();
    const { promise } = Promise.withResolvers<void>();
    world.images.serve(IMAGE_URL, { extents: extents(), until: promise });
    await world.apply(imageManifest());
    await world.untilPhase("VirtualImage", "ubuntu", "Provisioning");
    await world.platform.virtualImages.delete("ubuntu");
    await world.untilGone("VirtualImage", "ubuntu");
    expect(world.images.names()).toEqual([]);
  });

  it("serves every namespace as a ClusterVirtualImage", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    const disk = diskOfImage("d") as { metadata: object; spec: { dataSource: object } };
    const objectRef = { kind: "ClusterVirtualImage", name: "ubuntu" };
    await world.apply(
      {
        ...imageManifest(),
        kind: "ClusterVirtualImage",
        spec: { dataSource: { type: "HTTP", http: { url: IMAGE_URL } } },
      },
      {
        ...disk,
        metadata: { name: "d", namespace: "team" },
        spec: { dataSource: { type: "ObjectRef", objectRef } },
      },
    );
    await world.platform.virtualDisks.waitFor("d", { phase: "Ready" }, { namespace: "team" });
  });
});

describe("a disk", () => {
  it("that is smaller than its image fails, and is Ready when it is made larger", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest(), diskOfImage("d", "ubuntu", "1Mi"));
    await world.untilPhase("VirtualDisk", "d", "Failed");
    expect(await world.message("VirtualDisk", "d", "Ready")).toBe(
      "spec.persistentVolumeClaim.size (1Mi) is smaller than the image, which needs 4Mi: set it to at least that, or leave it out.",
    );
    expect(world.storage.volumeNames()).toEqual([]);
    await world.apply(diskOfImage("d", "ubuntu", "8Mi"));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(disk.status?.capacity).toBe("8Mi");
  });

  it("cannot be made of an ISO image", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents(), cdrom: true });
    await world.apply(imageManifest(), diskOfImage("of-image"), diskOfUrl("of-url"));
    await world.untilPhase("VirtualDisk", "of-image", "Failed");
    await world.untilPhase("VirtualDisk", "of-url", "Failed");
    expect(await world.message("VirtualDisk", "of-image", "Ready")).toBe(
      'spec.dataSource.objectRef: VirtualImage "ubuntu" is an ISO image, and a disk cannot be made of one: choose a disk image.',
    );
    expect(await world.message("VirtualDisk", "of-url", "Ready")).toBe(
      "spec.dataSource.http.url is an ISO image, and a disk cannot be made of one: choose a disk image.",
    );
    expect(world.storage.volumeNames()).toEqual([]);
    expect(world.images.names()).toHaveLength(1);
    expect((await world.platform.virtualImages.get("ubuntu")).status?.cdrom).toBe(true);
  });

  it("of a URL keeps its image in the image store only while it is filled", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(diskOfUrl("d"));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(world.images.names()).toEqual([]);
    expect(world.storage.written(`vd-${disk.metadata.uid}`)).toHaveLength(2);
  });

  it("of an image that is missing or fails says so, and goes on when that is corrected", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(diskOfImage("d"));
    await world.untilPhase("VirtualDisk", "d", "Pending");
    await world.apply(imageManifest("ubuntu", "http://images.example/none"));
    await world.until("the message", async () =>
      (await world.message("VirtualDisk", "d", "Ready"))?.includes("is Failed: waiting"),
    );
    await world.apply(imageManifest());
    await world.untilPhase("VirtualDisk", "d", "Ready");
  });

  it("waits for a storage class, and for a storage behind it", async () => {
    await using world = await World.open();
    const named = { persistentVolumeClaim: { size: "1Gi", storageClassName: "fast" } };
    await world.apply({ ...blankDisk("d"), spec: named });
    await world.untilPhase("VirtualDisk", "d", "Pending");
    const message = (): Promise<string | undefined> => world.message("VirtualDisk", "d", "Ready");
    expect(await message()).toContain('StorageClass "fast" does not exist');
    const fast = { metadata: { name: "fast" }, provisioner: "elsewhere" };
    await world.platform.storageClasses.create(fast);
    await world.until("the other message", async () =>
      (await message())?.includes('of provisioner "elsewhere", and the platform has no storage'),
    );
    expect(world.storage.volumeNames()).toEqual([]);
  });

  it("keeps an image that is being deleted until it is filled from it", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest());
    await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    const away = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the storage does not answer");
    world.storageFaults.rules.push({ verb: "createVolume", error: away, times: 2 });
    await world.apply(diskOfImage("d"));
    await world.untilPhase("VirtualDisk", "d", "Provisioning");
    await world.platform.virtualImages.delete("ubuntu");
    await world.pass(1_000);
    expect((await world.platform.virtualImages.get("ubuntu")).status?.phase).toBe("Terminating");
    expect(await world.message("VirtualImage", "ubuntu", "Terminating")).toBe(
      "The image is being copied to VirtualDisk default/d: it goes when that is done.",
    );
    await world.apply(diskOfImage("late"));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(world.storage.written(`vd-${disk.metadata.uid}`)).toHaveLength(2);
    await world.untilGone("VirtualImage", "ubuntu");
    expect(world.images.names()).toEqual([]);
    expect(
      (await world.untilPhase("VirtualDisk", "late", "Pending")).status?.capacity,
    ).toBeUndefined();
  });
});
