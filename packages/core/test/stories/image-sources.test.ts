import { PolyvisorError } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { blankDisk, extents, IMAGE_URL, imageManifest, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";
const MIB = 2 ** 20;

type SourceKind = "VirtualImage" | "ClusterVirtualImage" | "VirtualDisk" | "VirtualDiskSnapshot";

function manifest(kind: string, name: string, dataSource: object, more: object = {}): object {
  return { apiVersion: API, kind, metadata: { name }, spec: { dataSource, ...more } };
}

function fromObject(kind: SourceKind, name: string, more: object = {}): object {
  return { type: "ObjectRef", objectRef: { kind, name, ...more } };
}

const UPLOAD = { type: "Upload" };

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

/** The token of an upload address that was given out. */
async function tokenOf(
  world: World,
  kind: "VirtualImage" | "VirtualDisk",
  name: string,
): Promise<string> {
  const found = await world.untilPhase(kind, name, "WaitForUserUpload");
  await world.pass(0);
  return found.status?.imageUploadURLs?.external?.split("/").at(-1) ?? "";
}

function upload(world: World, token: string, ...texts: string[]): Promise<unknown> {
  return world.platform
    .receiveUpload(token, { content: pieces(...texts) })
    .then(() => "imported")
    .catch((error: unknown) => error);
}

describe("an image from a registry", () => {
  const image = "docker.io/someone/ubuntu2204:latest";
  const containerImage = { type: "ContainerImage", containerImage: { image } };
  const withSecret = {
    type: "ContainerImage",
    containerImage: { image, imagePullSecret: { name: "pull" } },
  };

  it("is taken in", async () => {
    await using world = await World.open();
    world.images.serve(image, { extents: extents() });
    await world.apply(manifest("VirtualImage", "ubuntu", containerImage));
    const { status } = await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    expect(status).toMatchObject({
      format: "raw",
      cdrom: false,
      size: { unpacked: "4Mi", unpackedBytes: String(4 * MIB) },
    });
  });

  it("waits for its pull secret and uses it", async () => {
    await using world = await World.open();
    world.images.serve(image, { extents: extents() });
    await world.apply(manifest("VirtualImage", "ubuntu", withSecret));
    await world.untilPhase("VirtualImage", "ubuntu", "Pending");
    const message = (): Promise<string | undefined> =>
      world.message("VirtualImage", "ubuntu", "DatasourceReady");
    const field = "spec.dataSource.containerImage.imagePullSecret: ";
    expect(await message()).toBe(`${field}Secret default/pull not found: create it.`);
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "pull" } };
    await world.apply({ ...secret, type: "Opaque", data: {} });
    await world.until("another message", async () =>
      (await message())?.includes("Unexpected secret type: Opaque"),
    );
    await world.platform.secrets.delete("pull");
    const config = '{"auths":{}}';
    await world.apply({
      ...secret,
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": Buffer.from(config).toString("base64") },
    });
    await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    expect(world.images.lastDockerConfig).toBe(config);
  });

  it("fills a disk, and is kept only meanwhile", async () => {
    await using world = await World.open();
    world.images.serve(image, { extents: extents() });
    await world.apply(manifest("VirtualDisk", "d", containerImage));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(world.storage.written(`vd-${disk.metadata.uid}`)).toHaveLength(2);
    expect(world.images.names()).toEqual([]);
  });
});

describe("an upload", () => {
  it("makes an image", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualImage", "some-image", UPLOAD));
    const waiting = await world.untilPhase("VirtualImage", "some-image", "WaitForUserUpload");
    const urls = waiting.status?.imageUploadURLs;
    expect(urls?.external).toMatch(/^https:\/\/virtualization\.example\.com\/upload\/\w{32}$/);
    expect(urls?.inCluster).toMatch(/^http:\/\/10\.222\.165\.239\/upload\/\w{32}$/);
    const token = await tokenOf(world, "VirtualImage", "some-image");
    const sent = upload(world, token, "CD001", " and more");
    const ready = await world.untilPhase("VirtualImage", "some-image", "Ready");
    expect(await sent).toBe("imported");
    expect(ready.status).toMatchObject({ cdrom: true, format: "iso", progress: "100%" });
    expect(ready.status?.imageUploadURLs).toBeUndefined();
    expect(await upload(world, token, "again")).toMatchObject({ code: "POLYVISOR_NOT_FOUND" });
  });

  it("makes a disk, and no disk of an ISO image", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualDisk", "d", UPLOAD), manifest("VirtualDisk", "iso", UPLOAD));
    const sent = upload(world, await tokenOf(world, "VirtualDisk", "d"), "boot", "root");
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(await sent).toBe("imported");
    expect(world.storage.written(`vd-${disk.metadata.uid}`)).toHaveLength(1);
    const refused = upload(world, await tokenOf(world, "VirtualDisk", "iso"), "CD001");
    await world.untilPhase("VirtualDisk", "iso", "Failed");
    expect(await refused).toMatchObject({
      message:
        "What was uploaded is an ISO image, and a disk cannot be made of one: choose a disk image.",
    });
    expect(world.images.names()).toEqual([]);
    expect(world.storage.volumeNames()).toHaveLength(1);
  });

  it("that does not come within ten minutes fails, also when the manager starts anew", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    const token = await tokenOf(world, "VirtualImage", "a");
    await world.pass(300_000);
    await world.restart();
    await world.pass(299_000);
    expect((await world.find("VirtualImage", "a"))?.status?.phase).toBe("WaitForUserUpload");
    await world.pass(2_000);
    await world.untilPhase("VirtualImage", "a", "Failed");
    expect(await world.message("VirtualImage", "a", "Ready")).toBe(
      "The image was not uploaded within 10 minutes. Recreate the VirtualImage to get another upload address.",
    );
    expect(await upload(world, token, "late")).toMatchObject({ code: "POLYVISOR_NOT_FOUND" });
    await world.pass(3_600_000);
    expect((await world.find("VirtualImage", "a"))?.status?.phase).toBe("Failed");
  });

  it("goes on at the same address after the manager has started anew", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    const token = await tokenOf(world, "VirtualImage", "a");
    await world.restart();
    await world.pass(0);
    void upload(world, token, "boot");
    await world.untilPhase("VirtualImage", "a", "Ready");
  });

  it("with a wrong checksum fails, and says so to both sides", async () => {
    await using world = await World.open();
    const checksum = { sha256: "0".repeat(64) };
    await world.apply(manifest("VirtualImage", "a", { type: "Upload", upload: { checksum } }));
    const sent = upload(world, await tokenOf(world, "VirtualImage", "a"), "boot");
    await world.untilPhase("VirtualImage", "a", "Failed");
    expect(await sent).toMatchObject({ message: expect.stringContaining("the SHA-256 is") });
    expect(await world.message("VirtualImage", "a", "Ready")).toContain("the SHA-256 is");
    expect(world.images.names()).toEqual([]);
  });

  it("that is cut off fails; another address comes with another image", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    const token = await tokenOf(world, "VirtualImage", "a");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("boo");
      throw new Error("the connection was reset");
    }
    const sent = world.platform.receiveUpload(token, { content: broken() });
    const outcome = sent.catch((error: unknown) => error);
    await world.untilPhase("VirtualImage", "a", "Failed");
    expect(await outcome).toMatchObject({ message: "the connection was reset" });
    await world.pass(3_600_000);
    expect((await world.find("VirtualImage", "a"))?.status?.phase).toBe("Failed");
    await world.platform.virtualImages.delete("a");
    await world.untilGone("VirtualImage", "a");
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    expect(await tokenOf(world, "VirtualImage", "a")).not.toBe(token);
  });

  it("that ends with the manager can be sent again", async () => {
    await using world = await World.open();
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    const token = await tokenOf(world, "VirtualImage", "a");
    const never = new Promise<void>(() => {});
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("boo");
      await never;
    }
    const sent = world.platform.receiveUpload(token, { content: slow() }).catch((e: unknown) => e);
    await world.untilPhase("VirtualImage", "a", "Provisioning");
    expect(await upload(world, token, "other")).toMatchObject({ code: "POLYVISOR_CONFLICT" });
    void world.stop();
    expect(await sent).toMatchObject({ code: "POLYVISOR_CLOSED" });
  });

  it("is not offered when it is served nowhere", async () => {
    await using world = await World.open({ uploads: false });
    await world.apply(manifest("VirtualImage", "a", UPLOAD));
    await world.untilPhase("VirtualImage", "a", "Pending");
    expect(await world.message("VirtualImage", "a", "Ready")).toBe(
      "The platform takes no uploads: give createPlatform() uploads, the address under which they are served.",
    );
  });
});

describe("an image of another object", () => {
  it.each(["ContainerRegistry", "PersistentVolumeClaim"])(
    "is made of an image (%s)",
    async (storage) => {
      await using world = await World.open();
      world.images.serve(IMAGE_URL, { extents: extents(), cdrom: true });
      await world.apply(
        imageManifest(),
        manifest("VirtualImage", "copy", fromObject("VirtualImage", "ubuntu"), { storage }),
      );
      const { status } = await world.untilPhase("VirtualImage", "copy", "Ready");
      const source = await world.untilPhase("VirtualImage", "ubuntu", "Ready");
      expect(status).toMatchObject({ cdrom: true, sourceUID: source.metadata.uid });
      const onVolume = storage === "PersistentVolumeClaim";
      expect(world.images.names()).toHaveLength(onVolume ? 1 : 2);
      expect(world.storage.volumeNames()).toHaveLength(onVolume ? 1 : 0);
      expect(status?.target?.persistentVolumeClaimName !== undefined).toBe(onVolume);
    },
  );

  it("is made of a disk, from which VMs are kept meanwhile", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d", "2Mi"), vm("linux", ["d"], { runPolicy: "Manual" }));
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    world.storage.write(`vd-${disk.metadata.uid}`, { offset: 8, bytes: Buffer.from("data") });
    const open = world.imageGates.close("importImage");
    await world.apply(manifest("VirtualImage", "copy", fromObject("VirtualDisk", "d")));
    await world.until("the import", () => world.imageGates.held("importImage") === 1);
    const claimed = await world.platform.virtualDisks.get("d");
    expect(claimed.status?.conditions).toContainEqual(
      expect.objectContaining({ type: "InUse", status: "True", reason: "UsedForImageCreation" }),
    );
    await world.apply(vm("linux", ["d"], { runPolicy: "AlwaysOn" }));
    await world.pass(60_000);
    expect(world.running()).toEqual([]);
    open();
    const { status } = await world.untilPhase("VirtualImage", "copy", "Ready");
    expect(status?.size?.unpackedBytes).toBe(String(2 * MIB));
    await world.until("the guest", () => world.running().length === 1);
  });

  it("waits until no running VM has the disk", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d"), vm("linux", ["d"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    await world.apply(manifest("VirtualImage", "copy", fromObject("VirtualDisk", "d")));
    await world.untilPhase("VirtualImage", "copy", "Pending");
    expect(await world.message("VirtualImage", "copy", "DatasourceReady")).toBe(
      'spec.dataSource.objectRef: VirtualDisk "d" is attached to the running VirtualMachine "linux": stop it or remove the disk from it.',
    );
    await world.apply(vm("linux", ["d"], { runPolicy: "AlwaysOff" }));
    await world.untilPhase("VirtualImage", "copy", "Ready");
  });

  it("lets go of the disk when it is deleted in the middle", async () => {
    await using world = await World.open();
    await world.apply(blankDisk("d"));
    await world.untilPhase("VirtualDisk", "d", "Ready");
    world.imageGates.close("importImage");
    await world.apply(
      manifest(
        "ClusterVirtualImage",
        "copy",
        fromObject("VirtualDisk", "d", { namespace: "default" }),
      ),
    );
    await world.until("the import", () => world.imageGates.held("importImage") === 1);
    await world.platform.clusterVirtualImages.delete("copy");
    await world.untilGone("ClusterVirtualImage", "copy");
    await world.apply(vm("linux", ["d"]));
    await world.untilPhase("VirtualMachine", "linux", "Running");
    expect((await world.platform.virtualDisks.get("d")).status?.imageUsers).toBeUndefined();
  });
});

describe("an image on a volume", () => {
  const onVolume = { storage: "PersistentVolumeClaim" };
  const http = { type: "HTTP", http: { url: IMAGE_URL } };

  it("is cloned for disks, and is gone with its volume", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(
      manifest("VirtualImage", "ubuntu", http, onVolume),
      manifest("VirtualDisk", "d", fromObject("VirtualImage", "ubuntu")),
    );
    const image = await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    expect(image.status).toMatchObject({ storageClassName: "fake", format: "raw" });
    const disk = await world.untilPhase("VirtualDisk", "d", "Ready");
    expect(disk.status?.capacity).toBe("4Mi");
    expect(world.storage.written(`vd-${disk.metadata.uid}`)).toHaveLength(2);
    expect(world.images.names()).toEqual([]);
    await world.storage.deleteVolume(`vi-${image.metadata.uid}`);
    await world.untilPhase("VirtualImage", "ubuntu", "PVCLost");
  });

  it("shows how far it has come, and never less than before", async () => {
    await using world = await World.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.images.serve(IMAGE_URL, { extents: extents(), until: promise });
    await world.apply(manifest("VirtualImage", "ubuntu", http, onVolume));
    await world.until("a quarter", async () => {
      const { status } = await world.platform.virtualImages.get("ubuntu");
      return status?.progress === "25.0%" && status.downloadSpeed?.current !== undefined;
    });
    const away = new PolyvisorError("POLYVISOR_UNAVAILABLE", "the storage does not answer");
    world.storageFaults.rules.push({ verb: "fill", error: away });
    resolve();
    const ready = await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    expect(ready.status?.progress).toBe("100%");
  });
});

describe("an image that is lost", () => {
  it("says so, and recovers by itself", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    await world.apply(imageManifest());
    const { metadata } = await world.untilPhase("VirtualImage", "ubuntu", "Ready");
    world.images.lose(`vi-${metadata.uid}`);
    await world.untilPhase("VirtualImage", "ubuntu", "ImageLost");
    expect(await world.message("VirtualImage", "ubuntu", "Ready")).toContain(
      "is gone from the image store: bring it back",
    );
    const source = { type: "http", url: IMAGE_URL } as const;
    await world.images.importImage(`vi-${metadata.uid}`, source, {});
    await world.untilPhase("VirtualImage", "ubuntu", "Ready");
  });
});

it("an image whose disk cannot be read fails once, and says why", async () => {
  await using world = await World.open();
  await world.apply(blankDisk("d"));
  await world.untilPhase("VirtualDisk", "d", "Ready");
  const broken = new Error("the volume is broken");
  world.storageFaults.rules.push({ verb: "read", error: broken, times: 99 });
  await world.apply(manifest("VirtualImage", "copy", fromObject("VirtualDisk", "d")));
  await world.untilPhase("VirtualImage", "copy", "Failed");
  expect(await world.message("VirtualImage", "copy", "Ready")).toBe(
    "spec.dataSource.objectRef: the volume is broken",
  );
  const failed = await world.platform.virtualImages.get("copy");
  await world.pass(60_000);
  const later = await world.platform.virtualImages.get("copy");
  expect(later.metadata.resourceVersion).toBe(failed.metadata.resourceVersion);
});
