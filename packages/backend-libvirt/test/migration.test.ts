import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type LibvirtBackend, libvirtBackend } from "@polyvisor/backend-libvirt";
import { type Lab, type LabHost, startLab } from "@polyvisor/backend-libvirt/lab";
import {
  type GuestDisk,
  type GuestSpec,
  type GuestState,
  type HypervisorEvent,
  macAddressOf,
  type MigrationRequest,
} from "@polyvisor/core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { bootingGuest, inventory, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const timeout = 180_000;
const MEBIBYTE = 2 ** 20;

let lab: Lab;
let backend: LibvirtBackend;
beforeAll(async () => {
  lab = await startLab();
  backend = open();
  await backend.hypervisor.open(never);
  await backend.storage.open(never);
}, timeout);
afterAll(async () => {
  await backend.storage[Symbol.asyncDispose]();
  await backend.hypervisor[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});
afterEach(async () => {
  const { guests } = await backend.hypervisor.guests(never);
  for (const guest of guests) {
    await backend.hypervisor.stopGuest(guest, guest, "power-off", never);
    await backend.hypervisor.removeGuest(guest.uid, guest, never);
  }
  for (const disk of ["vd-root", "vd-data"]) await backend.storage.deleteVolume(disk, never);
  for (const host of lab.hosts) {
    // A migration that has failed puts the rest in order after it has said so.
    await expect
      .poll(() => inventory(host), { timeout: 20_000 })
      .toEqual({ domains: [], networks: [], pools: [] });
  }
}, 60_000);

function open(): LibvirtBackend {
  return libvirtBackend({
    hosts: Object.fromEntries(lab.hosts.map(({ name, uri, peerUri }) => [name, { uri, peerUri }])),
    storageClasses: [
      { name: "local", pool: { type: "own" }, isDefault: true },
      { name: "shared", pool: { type: "directory", path: lab.sharedDirectory, shared: true } },
    ],
  });
}

function hostOf(name: string): LabHost {
  const host = lab.hosts.find((each) => each.name === name);
  if (host) return host;
  throw new Error(`no host ${name}`);
}

/** A guest with an operating system from memory, an address and a data disk. */
async function guestOn(host: string, storageClass: "shared" | "local"): Promise<GuestSpec> {
  const { storage } = backend;
  const use = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" } as const;
  await storage.createVolume(
    { name: "vd-data", storageClass, sizeBytes: 64 * MEBIBYTE, use, host },
    never,
  );
  const guest = await bootingGuest(hostOf(host), "web");
  const [root] = guest.disks;
  if (root?.source.type !== "file") throw new Error("the guest has no root disk");
  // On the shared folder: the image has no need to be copied.
  const path = join(lab.sharedDirectory, "vd-root");
  await run(hostOf(host), "mv", root.source.path, path);
  const address = "10.66.10.7";
  return {
    ...guest,
    disks: [
      { ...root, source: { type: "file", path, format: "qcow2" } },
      {
        name: "vd-data",
        serial: "data",
        source: await storage.attach("vd-data", host, never),
        device: "disk",
        readOnly: false,
        bootOrder: 2,
      },
    ],
    interfaces: [
      { cidr: "10.66.10.0/24", gateway: "10.66.10.1", mac: macAddressOf(address), address },
    ],
    cloudInit: { userData: "#cloud-config\n", metaData: "instance-id: one\n" },
  };
}

function request(
  id: string,
  source: string,
  disks: readonly GuestDisk[],
  more: Partial<MigrationRequest> = {},
): MigrationRequest {
  const target = { host: source === "node-1" ? "node-2" : "node-1" };
  return { id, source, target, disks, autoConverge: true, ...more };
}

async function listed(): Promise<GuestState> {
  const { guests } = await backend.hypervisor.guests(never);
  expect(guests).toHaveLength(1);
  return guests[0] as GuestState;
}

async function ended(id: string): Promise<GuestState> {
  for (;;) {
    const guest = await listed();
    const { migration } = guest;
    if (migration?.id === id && ["succeeded", "failed", "cancelled"].includes(migration.phase)) {
      return guest;
    }
    await sleep(100);
  }
}

/** What libvirt says on each host: exactly one of them runs the guest. */
async function runningOn(): Promise<readonly string[]> {
  const states = await Promise.all(
    lab.hosts.map(async (host) => [
      host.name,
      await run(host, "virsh", "list", "--state-running", "--name"),
    ]),
  );
  return states.filter(([, domains]) => domains !== "").map(([name]) => name ?? "");
}

it("migrates a guest there and back, with its network and its seed", { timeout }, async () => {
  const { hypervisor } = backend;
  const guest = await guestOn("node-1", "shared");
  await hypervisor.startGuest(guest, { host: "node-1" }, never);
  const ending = new AbortController();
  const seen: HypervisorEvent[] = [];
  const watching = (async () => {
    for await (const event of hypervisor.watch(ending.signal)) seen.push(event);
  })();
  await hypervisor.migration?.start(guest, request("one", "node-1", guest.disks), never);
  expect(await ended("one")).toMatchObject({
    host: "node-2",
    power: "running",
    incarnation: 1,
    migration: { id: "one", source: "node-1", target: "node-2", phase: "succeeded" },
  });
  expect(await runningOn()).toEqual(["node-2"]);
  // Again does nothing.
  await hypervisor.migration?.start(guest, request("one", "node-1", guest.disks), never);
  await expect.poll(() => inventory(hostOf("node-1"))).toMatchObject({ domains: [], networks: [] });
  expect(await inventory(hostOf("node-2"))).toMatchObject({
    networks: ["polyvisor-10.66.10.0-24"],
  });
  await hypervisor.migration?.start(guest, request("two", "node-2", guest.disks), never);
  expect(await ended("two")).toMatchObject({ host: "node-1", power: "running" });
  expect(await runningOn()).toEqual(["node-1"]);
  ending.abort();
  await watching;
  const powers = seen.flatMap((event) => (event.type === "guest" ? [event.guest.power] : []));
  expect(powers).not.toContain("stopped");
});

it(
  "copies a disk that is not shared, and the storage knows where it is then",
  { timeout },
  async () => {
    const { hypervisor, storage } = backend;
    const guest = await guestOn("node-1", "local");
    await storage.content.fill(
      "vd-data",
      {
        sizeBytes: MEBIBYTE,
        async *[Symbol.asyncIterator]() {
          yield { type: "data", bytes: Buffer.alloc(MEBIBYTE, "x") };
        },
        [Symbol.asyncDispose]: async () => {},
      },
      { signal: never },
    );
    await hypervisor.startGuest(guest, { host: "node-1" }, never);
    await hypervisor.migration?.start(guest, request("copy", "node-1", guest.disks), never);
    expect(await ended("copy")).toMatchObject({ host: "node-2", power: "running" });
    await expect
      .poll(() => storage.getVolume("vd-data", never), { timeout: 10_000 })
      .toMatchObject({ hosts: ["node-2"], sizeBytes: 64 * MEBIBYTE });
    await hypervisor.stopGuest(guest, { host: "node-2" }, "power-off", never);
    await using content = await storage.content.read(
      { type: "volume", name: "vd-data" },
      { signal: never },
    );
    for await (const extent of content) {
      expect(extent.type === "data" && extent.bytes[0]).toBe("x".charCodeAt(0));
      break;
    }
  },
);

it("leaves a guest where it is when its migration is cancelled", { timeout }, async () => {
  const { hypervisor } = backend;
  const guest = await guestOn("node-1", "shared");
  await hypervisor.startGuest(guest, { host: "node-1" }, never);
  await grown();
  const slow = request("slow", "node-1", guest.disks, { bandwidthBytesPerSecond: MEBIBYTE });
  await hypervisor.migration?.start(guest, slow, never);
  await expect
    .poll(async () => (await listed()).migration, { timeout: 20_000 })
    .toMatchObject({ phase: "copying", remainingBytes: expect.any(Number) as number });
  const other = hypervisor.migration?.start(guest, { ...slow, id: "other" }, never);
  await expect(other).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
  await hypervisor.migration?.cancel(guest, "slow", never);
  expect(await ended("slow")).toMatchObject({
    host: "node-1",
    power: "running",
    migration: { phase: "cancelled" },
  });
  expect(await runningOn()).toEqual(["node-1"]);
  await hypervisor.migration?.cancel(guest, "slow", never);
});

it("leaves one guest when the target is cut off in the middle", { timeout }, async () => {
  const { hypervisor } = backend;
  const guest = await guestOn("node-1", "shared");
  await hypervisor.startGuest(guest, { host: "node-1" }, never);
  await grown();
  const slow = request("cut", "node-1", guest.disks, { bandwidthBytesPerSecond: MEBIBYTE });
  await hypervisor.migration?.start(guest, slow, never);
  await hostOf("node-2").cutOff();
  try {
    const state = await ended("cut");
    expect(state).toMatchObject({
      host: "node-1",
      power: "running",
      migration: { phase: "failed" },
    });
    expect(state.migration?.message).not.toBe("");
  } finally {
    await hostOf("node-2").rejoin();
  }
  await expect.poll(runningOn, { timeout: 30_000 }).toEqual(["node-1"]);
  await hypervisor.migration?.start(guest, request("again", "node-1", guest.disks), never);
  expect(await ended("again")).toMatchObject({ host: "node-2", power: "running" });
});

it("leaves one guest when the daemon of the source ends in the middle", { timeout }, async () => {
  const { hypervisor } = backend;
  const guest = await guestOn("node-1", "shared");
  await hypervisor.startGuest(guest, { host: "node-1" }, never);
  await grown();
  const slow = request("lost", "node-1", guest.disks, { bandwidthBytesPerSecond: MEBIBYTE });
  await hypervisor.migration?.start(guest, slow, never);
  await hostOf("node-1").restartDaemon();
  const over = async (): Promise<GuestState | undefined> =>
    (await hypervisor.guests(never)).guests.find(({ uid }) => uid === guest.uid);
  await expect
    .poll(over, { timeout: 90_000, interval: 500 })
    .toMatchObject({ host: "node-1", power: "running", migration: { phase: "failed" } });
  await expect.poll(runningOn, { timeout: 30_000 }).toEqual(["node-1"]);
});

it("goes on with a migration that a former manager has begun", { timeout }, async () => {
  const guest = await guestOn("node-1", "shared");
  {
    const former = open();
    await former.hypervisor.open(never);
    await former.hypervisor.startGuest(guest, { host: "node-1" }, never);
    await grown();
    const slow = request("kept", "node-1", guest.disks, { bandwidthBytesPerSecond: 16 * MEBIBYTE });
    await former.hypervisor.migration?.start(guest, slow, never);
    await former.hypervisor[Symbol.asyncDispose]();
  }
  expect(await ended("kept")).toMatchObject({ host: "node-2", power: "running" });
  await expect
    .poll(() => inventory(hostOf("node-1")), { timeout: 10_000 })
    .toMatchObject({ domains: [], networks: [] });
});

it("refuses what it cannot do, and the guest is as it was", { timeout }, async () => {
  const { hypervisor } = backend;
  const guest = await guestOn("node-1", "shared");
  await hypervisor.startGuest(guest, { host: "node-1" }, never);
  const start = (changed: Partial<MigrationRequest>): Promise<void> | undefined =>
    hypervisor.migration?.start(
      guest,
      { ...request("no", "node-1", guest.disks), ...changed },
      never,
    );
  const refused = { code: "POLYVISOR_REFUSED" };
  await expect(start({ target: { host: "node-1" } })).rejects.toMatchObject(refused);
  await expect(start({ source: "node-2", target: { host: "node-1" } })).rejects.toMatchObject(
    refused,
  );
  await expect(start({ disks: [] })).rejects.toMatchObject(refused);
  const [root, data] = guest.disks as [GuestDisk, GuestDisk];
  const elsewhere = {
    ...data,
    source: { type: "file", path: "/nowhere/disk", format: "raw" },
  } as const;
  await expect(start({ disks: [root, elsewhere] })).rejects.toMatchObject(refused);
  const missing = join(lab.sharedDirectory, "vd-missing");
  const absent = { ...data, source: { type: "file", path: missing, format: "raw" } } as const;
  await expect(start({ disks: [root, absent] })).rejects.toMatchObject({
    ...refused,
    message: expect.stringContaining("vd-missing") as string,
  });
  const stale = { ...guest, incarnation: 2 };
  await expect(
    hypervisor.migration?.start(stale, request("no", "node-1", guest.disks), never),
  ).rejects.toMatchObject(refused);
  const state = await listed();
  expect(state).toMatchObject({ host: "node-1", power: "running" });
  expect(state.migration).toBeUndefined();
});

/** Gives the guest the time to fill its memory, so that there is something to copy. */
async function grown(): Promise<void> {
  await sleep(5_000);
}
