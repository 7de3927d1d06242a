import { createPlatform, type Platform } from "@polyvisor/core";
import { FakeImageStore } from "@polyvisor/core/testing";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CutPoint, CuttingProxy } from "./support/cutting-proxy.ts";
import { inventory, names, run } from "./support/lab-host.ts";

const NOTHING = { domains: [], networks: [], pools: [] };
const limits = { timeout: 60_000 };

let host: EmbeddedHost;
beforeAll(async () => {
  host = await startEmbeddedHost();
}, 120_000);
afterAll(() => host[Symbol.asyncDispose]());

/** Too wide for a network to have all its reservations from the start. */
const WIDE = "10.70.0.0/16";

async function open(proxy: CuttingProxy, cidr = "10.66.10.0/24"): Promise<Platform> {
  const imageStore = new FakeImageStore();
  const bytes = Buffer.alloc(2 ** 20, "content");
  imageStore.serve("http://images.test/disk", {
    extents: [
      { type: "data", bytes },
      { type: "hole", length: 2 ** 20 },
      { type: "data", bytes },
    ],
  });
  return createPlatform({
    backends: [
      libvirtBackend({ hosts: { "node-1": `qemu+unix:///system?socket=${proxy.socketPath}` } }),
    ],
    imageStore,
    settings: { virtualMachineCIDRs: [cidr] },
  });
}

const apiVersion = "virtualization.deckhouse.io/v1alpha2";
const manifests = [
  {
    apiVersion,
    kind: "VirtualImage",
    metadata: { name: "image" },
    spec: { dataSource: { type: "HTTP", http: { url: "http://images.test/disk" } } },
  },
  {
    apiVersion,
    kind: "VirtualDisk",
    metadata: { name: "disk" },
    spec: { dataSource: { type: "ObjectRef", objectRef: { kind: "VirtualImage", name: "image" } } },
  },
  {
    apiVersion,
    kind: "VirtualMachine",
    metadata: { name: "vm" },
    spec: {
      virtualMachineClassName: "generic",
      cpu: { cores: 1 },
      memory: { size: "64Mi" },
      terminationGracePeriodSeconds: 0,
      blockDeviceRefs: [{ kind: "VirtualDisk", name: "disk" }],
      provisioning: { type: "UserData", userData: "#cloud-config\n" },
    },
  },
];

/** From an image to a running guest and back to nothing. */
async function liveAndDie(platform: Platform): Promise<void> {
  await platform.apply(manifests);
  await platform.virtualMachines.waitFor("vm", { phase: "Running" }, limits);
  expect(await names(host, "list")).toEqual(["default_vm"]);
  expect(await run(host, "virsh", "domstate", "default_vm")).toBe("running");
  const record = (await platform.virtualMachines.get("vm")).status?.guest;
  expect(record?.incarnation).toBe(1);
  for (const [client, name] of [
    [platform.virtualMachines, "vm"],
    [platform.virtualDisks, "disk"],
    [platform.virtualImages, "image"],
  ] as const) {
    await client.delete(name);
    await client.waitFor(name, { deleted: true }, limits);
  }
  expect(await inventory(host)).toEqual(NOTHING);
}

/** Calls after which something is different on the host: their answers can be lost after the deed. */
const changes = [
  "storagePoolDefineXml",
  "storagePoolBuild",
  "storagePoolCreate",
  "storagePoolSetAutostart",
  "storageVolCreateXml",
  "storageVolUpload",
  "networkDefineXmlFlags",
  "networkCreate",
  "networkSetAutostart",
  "networkUpdate",
  "domainDefineXmlFlags",
  "domainCreateWithFlags",
  "domainDestroyFlags",
  "networkDestroy",
  "networkUndefine",
  "storageVolDelete",
  "domainUndefineFlags",
  "storagePoolDestroy",
  "storagePoolDelete",
  "storagePoolUndefine",
];
const cuts: readonly [procedure: string, point: CutPoint][] = [
  ...changes.flatMap((name): [string, CutPoint][] => [
    [name, "before"],
    [name, "after"],
  ]),
  ["storageVolUpload", "stream"],
];

describe("a connection that is cut", () => {
  it("is cut at every call that changes something", async () => {
    await using proxy = await CuttingProxy.start(host.socketPath);
    for (const cidr of [undefined, WIDE]) {
      await using platform = await open(proxy, cidr);
      await liveAndDie(platform);
    }
    const reading = /^(auth|connect|qemuMonitorEvent)|Lookup|Get|IsActive|ListAll/;
    expect([...proxy.seen].filter((name) => !reading.test(name)).sort()).toEqual(
      changes.toSorted(),
    );
  }, 120_000);

  it.each(cuts)(
    "at %s, %s, ends well",
    async (procedure, point) => {
      await using proxy = await CuttingProxy.start(host.socketPath);
      await using platform = await open(proxy, procedure === "networkUpdate" ? WIDE : undefined);
      proxy.cutAt(procedure, point);
      await liveAndDie(platform);
      expect(proxy.cuts).toBe(1);
    },
    120_000,
  );

  it("while a guest runs changes nothing but the condition, and only until it is back", async () => {
    await using proxy = await CuttingProxy.start(host.socketPath);
    await using platform = await open(proxy);
    await platform.apply(manifests);
    await platform.virtualMachines.waitFor("vm", { phase: "Running" }, limits);
    proxy.cutNow();
    await platform.nodes.waitFor("node-1", { condition: "Ready" }, limits);
    await platform.virtualMachines.waitFor("vm", { condition: "Running" }, limits);
    expect((await platform.virtualMachines.get("vm")).status?.guest?.incarnation).toBe(1);
    // A guest that ended while nobody listened is found when the connection is back.
    await host.killDaemon();
    await platform.nodes.waitFor(
      "node-1",
      {
        until: ({ status }) =>
          status?.conditions.some(({ type, status: is }) => type === "Ready" && is === "False") ??
          false,
      },
      limits,
    );
    await host.restartDaemon();
    await platform.nodes.waitFor("node-1", { condition: "Ready" }, limits);
    await run(host, "virsh", "destroy", "default_vm");
    await platform.virtualMachines.waitFor("vm", { phase: "Stopped" }, limits);
    await platform.virtualMachines.delete("vm");
    await platform.virtualMachines.waitFor("vm", { deleted: true }, limits);
    await platform.virtualDisks.delete("disk");
    await platform.virtualDisks.waitFor("disk", { deleted: true }, limits);
    expect(await inventory(host)).toEqual(NOTHING);
  }, 120_000);
});
