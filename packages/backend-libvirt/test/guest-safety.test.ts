import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { GuestSpec } from "@polyvisor/core";
import { libvirtBackend, type LibvirtHypervisor } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyDisk, idleGuest, names, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const node = "node-1";
const place = { host: node };
const timeout = 120_000;
const hook = fileURLToPath(new URL("../hooks/qemu", import.meta.url));

let host: EmbeddedHost;
let hypervisor: LibvirtHypervisor;
beforeAll(async () => {
  host = await startEmbeddedHost();
  await mkdir(join(host.directory, "etc/hooks"));
  await cp(hook, join(host.directory, "etc/hooks/qemu"));
  // A daemon looks for hooks when it starts.
  await host.restartDaemon();
  ({ hypervisor } = libvirtBackend({ hosts: { [node]: host.uri } }));
  await hypervisor.open(never);
}, timeout);
afterAll(async () => {
  await hypervisor[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

async function end(guest: GuestSpec): Promise<void> {
  await hypervisor.stopGuest(guest, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
}

async function define(xml: string): Promise<void> {
  const path = join(host.directory, "domain.xml");
  await writeFile(path, xml);
  await run(host, "virsh", "define", path);
}

const stranger = (name: string, uuid: string): string =>
  `<domain type="qemu"><name>${name}</name><uuid>${uuid}</uuid><title>Of a person</title>
    <memory unit="MiB">64</memory><vcpu>1</vcpu>
    <os><type arch="x86_64" machine="q35">hvm</type></os>
    <devices><sound model="ich9"/></devices></domain>`;

describe("the hook", () => {
  it("lets no older incarnation run than the host has seen", { timeout }, async () => {
    const guest = idleGuest("hooked");
    await hypervisor.startGuest(guest, place, never);
    const old = await run(host, "virsh", "dumpxml", "--inactive", "default_hooked");
    await hypervisor.stopGuest(guest, place, "power-off", never);
    await hypervisor.startGuest({ ...guest, incarnation: 2 }, place, never);
    await hypervisor.stopGuest({ ...guest, incarnation: 2 }, place, "power-off", never);
    await define(old);
    const started = await host.run("virsh", ["start", "default_hooked"]);
    expect(started.exitCode).not.toBe(0);
    expect(started.stderr).toContain("incarnation 1 of the guest");
    const next = { ...guest, incarnation: 3 };
    expect(await hypervisor.startGuest(next, place, never)).toMatchObject({ power: "running" });
    await end(next);
  });

  it("leaves guests of others alone", { timeout }, async () => {
    const { uid } = idleGuest("other");
    await define(stranger("other", uid));
    await run(host, "virsh", "start", "other");
    await run(host, "virsh", "destroy", "other");
    await run(host, "virsh", "undefine", "other");
  });
});

describe("a guest of somebody else", () => {
  it("is adopted when that is asked for, and goes on as it is", { timeout }, async () => {
    const guest = idleGuest("kept");
    await define(stranger("pet", guest.uid));
    await run(host, "virsh", "start", "pet");
    const id = await run(host, "virsh", "domid", "pet");
    const machine = { namespace: "default", name: "kept" };
    const adopted = await hypervisor.adopt({ host: node, name: "pet" }, machine, never);
    expect(adopted).toMatchObject({ ...machine, uid: guest.uid, incarnation: 1, power: "running" });
    expect(await hypervisor.adopt({ host: node, name: "pet" }, machine, never)).toEqual(adopted);
    expect(await run(host, "virsh", "domid", "pet")).toBe(id);
    const other = { ...machine, name: "other" };
    await expect(hypervisor.adopt({ host: node, name: "pet" }, other, never)).rejects.toMatchObject(
      {
        code: "POLYVISOR_REFUSED",
      },
    );

    await hypervisor.stopGuest(guest, place, "power-off", never);
    const next = { ...guest, incarnation: 2 };
    await hypervisor.startGuest(next, place, never);
    const xml = await run(host, "virsh", "dumpxml", "default_kept");
    expect(xml).toContain("<title>Of a person</title>");
    expect(xml).toContain("<sound model='ich9'>");
    await end(next);
    expect(await names(host, "list")).toEqual([]);
  });

  it("is not adopted when there is none, or when it goes with its run", { timeout }, async () => {
    const machine = { namespace: "default", name: "none" };
    await expect(
      hypervisor.adopt({ host: node, name: "none" }, machine, never),
    ).rejects.toMatchObject({ code: "POLYVISOR_NOT_FOUND" });
    await writeFile(join(host.directory, "domain.xml"), stranger("brief", idleGuest("x").uid));
    await run(host, "virsh", "create", join(host.directory, "domain.xml"));
    await expect(
      hypervisor.adopt({ host: node, name: "brief" }, machine, never),
    ).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
    await run(host, "virsh", "destroy", "brief");
  });
});

describe("guests whose QEMU hangs", () => {
  it("delay no other guest, and can be ended", { timeout }, async () => {
    // More than a connection may have calls in flight.
    const stuck = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => ({
        ...idleGuest(`stuck-${index}`),
        interfaces: [],
        disks: [await emptyDisk(host, `vd-${index}`)],
      })),
    );
    for (const guest of stuck) await hypervisor.startGuest(guest, place, never);
    await run(
      host,
      "sh",
      "-c",
      "for file in /run/libvirt/qemu/default_stuck-*.pid; do kill -STOP $(cat $file); done",
    );
    let answered = 0;
    const waiting = stuck.map(async (guest) => {
      const [disk] = guest.disks;
      await hypervisor.hotplug
        .resizeDisk(guest, node, disk?.name ?? "", 2 ** 24, never)
        .catch(() => {});
      answered += 1;
    });
    const other = { ...idleGuest("other"), interfaces: [] };
    await hypervisor.startGuest(other, place, never);
    expect((await hypervisor.guests(never)).guests).toHaveLength(stuck.length + 1);
    const [statistics] = await hypervisor.statistics(never);
    expect(statistics?.guests).toHaveLength(stuck.length + 1);
    expect(answered).toBe(0);
    await Promise.all([...stuck, other].map(end));
    await Promise.all(waiting);
  });
});

it("tells what a host and its guests use", { timeout }, async () => {
  const guest = idleGuest("counted");
  const disks = [await emptyDisk(host, "vd-counted")];
  await hypervisor.startGuest({ ...guest, disks }, place, never);
  const [statistics] = await hypervisor.statistics(never);
  expect(statistics?.host).toBe(node);
  expect(statistics?.load.memoryTotalBytes).toBeGreaterThan(2 ** 28);
  expect(statistics?.load.cpuIdleNanoseconds).toBeGreaterThan(0);
  const [counted] = statistics?.guests ?? [];
  expect(counted).toMatchObject({
    uid: guest.uid,
    domain: "default_counted",
    vcpus: [{ number: 0 }],
    memory: { currentBytes: 64 * 2 ** 20 },
    disks: [{ target: "sda", capacityBytes: 8 * 2 ** 20 }],
    interfaces: [{ device: expect.stringMatching(/^vnet/) as string, sentPackets: 0 }],
  });
  expect(counted?.cpuNanoseconds).toBeGreaterThan(0);
  await end(guest);
});
