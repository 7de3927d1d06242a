import { join } from "node:path";
import { type LibvirtBackend, libvirtBackend } from "@polyvisor/backend-libvirt";
import { type Lab, type LabHost, startLab } from "@polyvisor/backend-libvirt/lab";
import type { GuestSpec, SparseExtent, SparseStream, VolumeSpec } from "@polyvisor/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootingGuest, idleGuest, names, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const timeout = 120_000;
const MEBIBYTE = 2 ** 20;

let lab: Lab;
let first: LabHost;
let second: LabHost;
let backend: LibvirtBackend;
beforeAll(async () => {
  lab = await startLab();
  [first, second] = lab.hosts as [LabHost, LabHost];
  backend = libvirtBackend({
    hosts: { "node-1": first.uri, "node-2": second.uri },
    storageClasses: [
      { name: "local", pool: { type: "own" }, isDefault: true },
      { name: "shared", pool: { type: "directory", path: lab.sharedDirectory, shared: true } },
    ],
  });
  await backend.storage.open(never);
  await backend.hypervisor.open(never);
}, timeout);
afterAll(async () => {
  await backend.storage[Symbol.asyncDispose]();
  await backend.hypervisor[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

function volumeOf(storageClass: string, name: string, more: Partial<VolumeSpec> = {}): VolumeSpec {
  const use = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" } as const;
  return { name, storageClass, sizeBytes: 8 * MEBIBYTE, use, ...more };
}

function streamOf(extents: readonly SparseExtent[]): SparseStream {
  const lengths = extents.map((extent) =>
    extent.type === "data" ? extent.bytes.length : extent.length,
  );
  return {
    sizeBytes: lengths.reduce((total, length) => total + length, 0),
    async *[Symbol.asyncIterator]() {
      yield* extents;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

const letters = (letter: string): Buffer => Buffer.alloc(MEBIBYTE, letter);

async function fill(name: string, letter: string): Promise<void> {
  const content = streamOf([
    { type: "hole", length: MEBIBYTE },
    { type: "data", bytes: letters(letter) },
  ]);
  await backend.storage.content.fill(name, content, { signal: never });
}

/** The whole content as one buffer. */
async function contentOf(type: "volume" | "snapshot", name: string): Promise<Buffer> {
  await using stream = await backend.storage.content.read({ type, name }, { signal: never });
  const bytes = Buffer.alloc(stream.sizeBytes);
  let at = 0;
  for await (const extent of stream) {
    if (extent.type === "data") bytes.set(extent.bytes, at);
    at += extent.type === "data" ? extent.bytes.length : extent.length;
  }
  return bytes;
}

const secondMebibyte = (bytes: Buffer): string => bytes.toString("latin1", MEBIBYTE, MEBIBYTE + 3);

describe.each(["local", "shared"])("volumes of a %s class", (storageClass) => {
  it("become thin clones of a snapshot, which stays for them after it was deleted", async () => {
    const { storage } = backend;
    const made = await storage.createVolume(volumeOf(storageClass, "vd-base"), never);
    await fill("vd-base", "a");
    const snapshot = { name: "vds-base", volume: "vd-base" };
    expect(await storage.snapshots?.create(snapshot, never)).toEqual({
      ...snapshot,
      storageClass,
      sizeBytes: made.sizeBytes,
    });
    expect(await storage.snapshots?.create(snapshot, never)).toMatchObject(snapshot);
    await expect(
      storage.snapshots?.create({ ...snapshot, volume: "vd-none" }, never),
    ).rejects.toMatchObject({ code: "POLYVISOR_ALREADY_EXISTS" });
    const source = { type: "snapshot", name: "vds-base" } as const;
    const larger = volumeOf(storageClass, "vd-thin", { source, sizeBytes: 16 * MEBIBYTE });
    await storage.createVolume(larger, never);
    expect(await storage.createVolume(larger, never)).toMatchObject({ sizeBytes: 16 * MEBIBYTE });
    const host = made.hosts?.[0] ?? "node-2";
    expect(await storage.attach("vd-thin", host, never)).toMatchObject({ format: "qcow2" });
    // What comes later to the volume is not in the snapshot, nor in its clone.
    await fill("vd-base", "b");
    await storage.snapshots?.delete("vds-base", never);
    expect(await storage.snapshots?.get("vds-base", never)).toBeUndefined();
    await storage.deleteVolume("vd-base", never);
    const content = await contentOf("volume", "vd-thin");
    expect(content.length).toBe(16 * MEBIBYTE);
    expect(secondMebibyte(content)).toBe("aaa");
    expect(content.subarray(2 * MEBIBYTE).every((byte) => byte === 0)).toBe(true);
    await storage.deleteVolume("vd-thin", never);
    expect(await leftovers()).toEqual([]);
  });

  it("become whole copies of a volume, and are read from a snapshot", async () => {
    const { storage } = backend;
    await storage.createVolume(volumeOf(storageClass, "vd-one"), never);
    await fill("vd-one", "c");
    const source = { type: "volume", name: "vd-one" } as const;
    const spec = volumeOf(storageClass, "vd-two", { source, sizeBytes: 12 * MEBIBYTE });
    expect(await storage.createVolume(spec, never)).toMatchObject({ sizeBytes: 12 * MEBIBYTE });
    await storage.snapshots?.create({ name: "vds-two", volume: "vd-two" }, never);
    await storage.deleteVolume("vd-one", never);
    await storage.deleteVolume("vd-two", never);
    expect(await contentOf("snapshot", "vds-two").then(secondMebibyte)).toBe("ccc");
    await storage.snapshots?.delete("vds-two", never);
    expect(await leftovers()).toEqual([]);
  });

  it("grow, and refuse what they cannot be", async () => {
    const { storage } = backend;
    await storage.createVolume(volumeOf(storageClass, "vd-grow"), never);
    const grown = await storage.expansion?.expand("vd-grow", 32 * MEBIBYTE, never);
    expect(grown).toMatchObject({ sizeBytes: 32 * MEBIBYTE });
    expect(await storage.expansion?.expand("vd-grow", 16 * MEBIBYTE, never)).toEqual(grown);
    const source = { type: "volume", name: "vd-grow" } as const;
    await expect(
      storage.createVolume(volumeOf(storageClass, "vd-small", { source }), never),
    ).rejects.toMatchObject({ code: "POLYVISOR_INVALID" });
    await expect(
      storage.createVolume(
        volumeOf(storageClass, "vd-block", {
          use: { accessMode: "ReadWriteOnce", volumeMode: "Block" },
        }),
        never,
      ),
    ).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
    await storage.deleteVolume("vd-grow", never);
    expect(await leftovers()).toEqual([]);
  });
});

it("attaches a shared volume to every host, and a local one to its own", async () => {
  const { storage } = backend;
  const use = { accessMode: "ReadWriteMany", volumeMode: "Filesystem" } as const;
  const shared = await storage.createVolume(volumeOf("shared", "vd-many", { use }), never);
  expect(shared).toMatchObject({ use });
  expect(shared.hosts).toBeUndefined();
  expect(await storage.getVolume("vd-many", never)).toEqual(shared);
  const path = join(lab.sharedDirectory, "vd-many");
  for (const host of ["node-1", "node-2"]) {
    expect(await storage.attach("vd-many", host, never)).toEqual({
      type: "file",
      path,
      format: "raw",
    });
  }
  await expect(
    storage.createVolume(volumeOf("local", "vd-lone", { use }), never),
  ).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
  const lone = await storage.createVolume(volumeOf("local", "vd-lone", { host: "node-2" }), never);
  expect(lone.hosts).toEqual(["node-2"]);
  await expect(storage.attach("vd-lone", "node-1", never)).rejects.toMatchObject({
    code: "POLYVISOR_REFUSED",
  });
  await storage.deleteVolume("vd-lone", never);
  await storage.deleteVolume("vd-many", never);
  expect(await leftovers()).toEqual([]);
});

it(
  "takes snapshots of a running guest, which goes on in the file that it had",
  { timeout },
  async () => {
    const { storage, hypervisor } = backend;
    await storage.createVolume(volumeOf("shared", "vd-data"), never);
    await fill("vd-data", "d");
    const guest = await withDisk(await bootingGuest(first, "web"), "vd-data");
    const place = { host: "node-1" };
    await hypervisor.startGuest(guest, place, never);
    const attachedTo = { guest, host: "node-1", disk: "vd-data" };
    const snapshot = { name: "vds-data", volume: "vd-data", attachedTo };
    expect(await storage.snapshots?.create(snapshot, never)).toMatchObject({ volume: "vd-data" });
    expect(await run(first, "virsh", "domblklist", "default_web")).toContain(
      join(lab.sharedDirectory, "vd-data\n").trim(),
    );
    expect(await run(first, "virsh", "domblklist", "default_web")).not.toContain("overlay");
    expect(await contentOf("snapshot", "vds-data").then(secondMebibyte)).toBe("ddd");
    const other = { ...snapshot, name: "vds-other", volume: "vd-absent" };
    await expect(storage.snapshots?.create(other, never)).rejects.toMatchObject({
      code: "POLYVISOR_NOT_FOUND",
    });
    const grown = await storage.expansion?.expand("vd-data", 16 * MEBIBYTE, never);
    expect(grown?.sizeBytes).toBe(16 * MEBIBYTE);
    await hypervisor.stopGuest(guest, place, "power-off", never);
    await hypervisor.removeGuest(guest.uid, place, never);
    await storage.snapshots?.delete("vds-data", never);
    await storage.deleteVolume("vd-data", never);
    expect(await leftovers()).toEqual([]);
  },
);

it("goes on from what a guest wrote while a snapshot was given up", { timeout }, async () => {
  const { storage, hypervisor } = backend;
  await storage.createVolume(volumeOf("shared", "vd-cut"), never);
  const guest = await withDisk(idleGuest("cut"), "vd-cut");
  const place = { host: "node-1" };
  await hypervisor.startGuest(guest, place, never);
  // As a manager leaves it that ends between the two halves of a snapshot.
  const overlay = join(lab.sharedDirectory, "vd-cut.overlay");
  await run(
    first,
    "virsh",
    "snapshot-create-as",
    "default_cut",
    "--disk-only",
    "--no-metadata",
    "--diskspec",
    `sda,snapshot=external,file=${overlay}`,
  );
  await hypervisor.stopGuest(guest, place, "power-off", never);
  expect(await storage.attach("vd-cut", "node-1", never)).toMatchObject({
    path: overlay,
    format: "qcow2",
  });
  const next = { ...(await withDisk(guest, "vd-cut")), incarnation: 2 };
  await hypervisor.startGuest(next, place, never);
  const attachedTo = { guest: next, host: "node-1", disk: "vd-cut" };
  await storage.snapshots?.create({ name: "vds-cut", volume: "vd-cut", attachedTo }, never);
  expect(await storage.attach("vd-cut", "node-1", never)).toMatchObject({ format: "raw" });
  await hypervisor.stopGuest(next, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
  await storage.snapshots?.delete("vds-cut", never);
  await storage.deleteVolume("vd-cut", never);
  expect(await leftovers()).toEqual([]);
});

it("puts the guest back when a snapshot is given up", { timeout }, async () => {
  const { storage, hypervisor } = backend;
  await storage.createVolume(volumeOf("shared", "vd-full", { sizeBytes: 64 * MEBIBYTE }), never);
  const guest = await withDisk(idleGuest("full"), "vd-full");
  const place = { host: "node-1" };
  await hypervisor.startGuest(guest, place, never);
  const attachedTo = { guest, host: "node-1", disk: "vd-full" };
  // Something that cannot be deleted stands where the copy is to be made.
  const copy = join(lab.sharedDirectory, "vds-full.snapshot.vd-full");
  await run(first, "mkdir", "-p", `${copy}.hidden`, `${copy}/full`);
  await expect(
    storage.snapshots?.create({ name: "vds-full", volume: "vd-full", attachedTo }, never),
  ).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
  expect(await run(first, "virsh", "domblklist", "default_full")).not.toContain("overlay");
  expect(await storage.snapshots?.get("vds-full", never)).toBeUndefined();
  await run(first, "rm", "-r", `${copy}.hidden`, copy);
  await storage.snapshots?.create({ name: "vds-full", volume: "vd-full", attachedTo }, never);
  await hypervisor.stopGuest(guest, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
  await storage.snapshots?.delete("vds-full", never);
  await storage.deleteVolume("vd-full", never);
  expect(await leftovers()).toEqual([]);
});

it("moves the disk of a running guest to another class", { timeout }, async () => {
  const { storage, hypervisor } = backend;
  await storage.createVolume(volumeOf("local", "vd-move", { host: "node-1" }), never);
  await fill("vd-move", "m");
  const guest = await withDisk(idleGuest("move"), "vd-move");
  const place = { host: "node-1" };
  const move = { storageClass: "shared", attachedTo: { guest, host: "node-1" } };
  const refused = { code: "POLYVISOR_REFUSED" };
  await expect(storage.move("vd-move", move, never)).rejects.toMatchObject(refused);
  await hypervisor.startGuest(guest, place, never);
  const elsewhere = { ...move, attachedTo: { guest, host: "node-2" } };
  await expect(storage.move("vd-move", elsewhere, never)).rejects.toMatchObject(refused);
  expect(await storage.getVolume("vd-move", never)).toMatchObject({ storageClass: "local" });
  expect(await storage.move("vd-move", move, never)).toMatchObject({ storageClass: "shared" });
  expect(await storage.move("vd-move", move, never)).toMatchObject({ storageClass: "shared" });
  const path = join(lab.sharedDirectory, "vd-move");
  for (const kind of ["--details", "--inactive"]) {
    expect(await run(first, "virsh", "domblklist", kind, "default_move")).toContain(path);
  }
  await hypervisor.stopGuest(guest, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
  expect(await contentOf("volume", "vd-move").then(secondMebibyte)).toBe("mmm");
  await expect(storage.attach("vd-move", "node-2", never)).rejects.toMatchObject(refused);
  await storage.detach("vd-move", "node-1", never);
  await storage.attach("vd-move", "node-2", never);
  await storage.deleteVolume("vd-move", never);
  expect(await leftovers()).toEqual([]);
});

it(
  "says that a pool has run out of space, and the volume can be deleted",
  { timeout },
  async () => {
    const path = join(first.directory, "small");
    await run(first, "mkdir", path);
    await run(first, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path);
    const { storage } = libvirtBackend({
      hosts: { "node-1": first.uri },
      storageClasses: [{ name: "small", pool: { type: "directory", path } }],
    });
    await storage.open(never);
    await storage.createVolume(volumeOf("small", "vd-much"), never);
    const bytes = letters("z");
    const content = streamOf(Array.from({ length: 8 }, () => ({ type: "data", bytes })));
    await expect(storage.content.fill("vd-much", content, { signal: never })).rejects.toMatchObject(
      {
        code: "POLYVISOR_REFUSED",
        message: expect.stringMatching(/no space left/i) as string,
      },
    );
    await storage.deleteVolume("vd-much", never);
    expect(await storage.getVolume("vd-much", never)).toBeUndefined();
    await storage[Symbol.asyncDispose]();
    expect(await run(first, "ls", path)).toBe("");
    await run(first, "umount", path);
  },
);

async function withDisk(guest: GuestSpec, volume: string): Promise<GuestSpec> {
  const source = await backend.storage.attach(volume, "node-1", never);
  const disk = {
    name: volume,
    serial: "1111",
    source,
    device: "disk",
    readOnly: false,
    bootOrder: 2,
  } as const;
  return { ...guest, disks: [...guest.disks.filter(({ name }) => name !== volume), disk] };
}

/** Pools that hosts still have, and files in the shared folder. */
async function leftovers(): Promise<readonly string[]> {
  const pools = await Promise.all(lab.hosts.map((host) => names(host, "pool-list")));
  return [
    ...pools.flat(),
    ...(await run(first, "ls", lab.sharedDirectory)).split("\n").filter(Boolean),
  ];
}
