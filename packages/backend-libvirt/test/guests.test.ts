import { join } from "node:path";
import type { GuestSpec, Hypervisor } from "@polyvisor/core";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { macAddressOf } from "@polyvisor/core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { bootingGuest, idleGuest, inventory, names, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const place = { host: "node-1" };
const timeout = 120_000;

let host: EmbeddedHost;
let hypervisor: Hypervisor;
beforeAll(async () => {
  host = await startEmbeddedHost();
  hypervisor = libvirtBackend({ hosts: { "node-1": host.uri } }).hypervisor;
  await hypervisor.open(never);
}, timeout);
afterAll(async () => {
  await hypervisor[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  const { guests } = await hypervisor.guests(never);
  for (const guest of guests) {
    await hypervisor.stopGuest(guest, place, "power-off", never);
    await hypervisor.removeGuest(guest.uid, place, never);
  }
  expect(await inventory(host)).toEqual({ domains: [], networks: [], pools: [] });
});

function onNetwork(guest: GuestSpec, cidr: string, gateway: string, address: string): GuestSpec {
  return { ...guest, interfaces: [{ cidr, gateway, mac: macAddressOf(address), address }] };
}

async function answers(address: string): Promise<boolean> {
  return (await host.run("ping", ["-c", "1", "-W", "2", address])).exitCode === 0;
}

it("gives a guest its address, name and user, and shuts it down", { timeout }, async () => {
  const guest: GuestSpec = {
    ...onNetwork(await bootingGuest(host, "web"), "10.66.10.0/24", "10.66.10.1", "10.66.10.77"),
    cloudInit: {
      userData: "#cloud-config\nruncmd:\n- echo ran > /dev/ttyS0\n",
      metaData: 'instance-id: "1"\nlocal-hostname: "web-from-seed"\n',
    },
  };
  await hypervisor.startGuest(guest, place, never);
  await using console = await hypervisor.consoles?.openSerial(guest, {
    signal: AbortSignal.timeout(60_000),
  });
  let output = "";
  for await (const bytes of console ?? []) {
    output += Buffer.from(bytes).toString();
    if (/login:/.test(output)) break;
  }
  expect(output).toMatch(/web-from-seed 10\.66\.10\.77/);
  expect(output).toMatch(/ran\r?\n/);
  expect(await answers("10.66.10.77")).toBe(true);
  await hypervisor.stopGuest(guest, place, "shutdown", never);
  const state = async (): Promise<unknown> => (await hypervisor.guests(never)).guests[0];
  await expect
    .poll(state, { timeout: 30_000 })
    .toMatchObject({ power: "stopped", stopReason: "guest-shutdown" });
});

it(
  "gives an address of a wide range, for which the network is told of each guest",
  { timeout },
  async () => {
    const guest = onNetwork(
      await bootingGuest(host, "web"),
      "10.70.0.0/16",
      "10.70.0.1",
      "10.70.200.9",
    );
    await hypervisor.startGuest(guest, place, never);
    await expect.poll(() => answers("10.70.200.9"), { timeout: 60_000, interval: 500 }).toBe(true);
    const xml = await run(host, "virsh", "net-dumpxml", "polyvisor-10.70.0.0-16");
    expect(xml.match(/<host /g)).toHaveLength(1);
  },
);

it("keeps a network for as long as a guest runs on it", { timeout }, async () => {
  const first = onNetwork(idleGuest("first"), "10.66.10.0/24", "10.66.10.1", "10.66.10.2");
  const second = onNetwork(idleGuest("second"), "10.66.10.0/24", "10.66.10.1", "10.66.10.3");
  await Promise.all([first, second].map((guest) => hypervisor.startGuest(guest, place, never)));
  await hypervisor.stopGuest(first, place, "power-off", never);
  await hypervisor.removeGuest(first.uid, place, never);
  expect(await names(host, "net-list")).toEqual(["polyvisor-10.66.10.0-24"]);
  await hypervisor.stopGuest(second, place, "power-off", never);
  await hypervisor.removeGuest(second.uid, place, never);
  expect(await names(host, "net-list")).toEqual([]);
});

it("says why a guest cannot be started and leaves nothing of it", { timeout }, async () => {
  const path = join(host.directory, "no-such-disk.raw");
  const source = { type: "file", path, format: "raw" } as const;
  const guest: GuestSpec = {
    ...idleGuest("web"),
    disks: [{ name: "vd", serial: "1", source, device: "disk", readOnly: false, bootOrder: 1 }],
    cloudInit: { userData: "#cloud-config\n", metaData: "instance-id: 1\n" },
  };
  await expect(hypervisor.startGuest(guest, place, never)).rejects.toMatchObject({
    code: "POLYVISOR_REFUSED",
    message: expect.stringContaining("no-such-disk.raw") as string,
  });
  expect(await inventory(host)).toEqual({ domains: [], networks: [], pools: [] });
});

it("leaves a guest alone that has the uid of a VM and is not ours", { timeout }, async () => {
  const guest = idleGuest("web");
  const xml = `<domain type="qemu"><name>stranger</name><uuid>${guest.uid}</uuid><memory unit="MiB">64</memory>
    <os><type arch="x86_64" machine="q35">hvm</type></os></domain>`;
  await run(host, "sh", "-c", `echo '${xml}' > ${host.directory}/stranger.xml`);
  await run(host, "virsh", "define", `${host.directory}/stranger.xml`);
  await expect(hypervisor.startGuest(guest, place, never)).rejects.toMatchObject({
    code: "POLYVISOR_REFUSED",
  });
  await hypervisor.stopGuest(guest, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
  expect(await names(host, "list")).toEqual(["stranger"]);
  await run(host, "virsh", "undefine", "stranger");
});
