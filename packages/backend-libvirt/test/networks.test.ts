import { type LibvirtNetwork, libvirtBackend } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { type GuestSpec, type Hypervisor, macAddressOf } from "@polyvisor/core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { bootingGuest, idleGuest, inventory, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const place = { host: "node-1" };
const timeout = 200_000;
const NETWORKS: readonly LibvirtNetwork[] = [
  { range: "10.71.0.0/24", type: "routed" },
  { range: "10.72.0.0/24", type: "isolated" },
  { range: "10.73.0.0/24", type: "bridge", bridge: "br-test" },
  { range: "10.74.0.0/24", type: "nat", antiSpoofing: true },
  { range: "10.75.0.0/24", type: "nat", hostLabels: { zone: "other" } },
];

let host: EmbeddedHost;
let hypervisor: Hypervisor;
beforeAll(async () => {
  host = await startEmbeddedHost();
  await run(host, "ip", "link", "add", "br-test", "type", "bridge");
  hypervisor = open(NETWORKS);
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

function open(networks: readonly LibvirtNetwork[]): Hypervisor {
  const node = { uri: host.uri, labels: { zone: "one" } };
  return libvirtBackend({ hosts: { "node-1": node }, networks }).hypervisor;
}

function on(guest: GuestSpec, prefix: string): GuestSpec {
  const address = `${prefix}.7`;
  const cidr = `${prefix}.0/24`;
  const mac = macAddressOf(address);
  return { ...guest, interfaces: [{ cidr, gateway: `${prefix}.1`, mac, address }] };
}

it.each([
  ["routed", "10.71.0", /<forward mode='route'/],
  ["isolated", "10.72.0", /<bridge name='pv-/],
])("gives the guests of a %s network their addresses", { timeout }, async (_, prefix, forward) => {
  await hypervisor.startGuest(on(await bootingGuest(host, "web"), prefix), place, never);
  const answers = async (): Promise<boolean> =>
    (await host.run("ping", ["-c", "1", "-W", "1", `${prefix}.7`])).exitCode === 0;
  await expect.poll(answers, { timeout: 150_000, interval: 500 }).toBe(true);
  const xml = await run(host, "virsh", "net-dumpxml", `polyvisor-${prefix}.0-24`);
  expect(xml).toMatch(forward);
  expect(xml).not.toMatch(/<nat/);
});

it("connects guests to a bridge that the host has, and leaves the bridge there", async () => {
  await hypervisor.startGuest(on(idleGuest("web"), "10.73.0"), place, never);
  expect(await run(host, "ip", "link", "show", "master", "br-test")).toMatch(/vnet\d+/);
  await hypervisor.stopGuest(
    (await hypervisor.guests(never)).guests[0]!,
    place,
    "power-off",
    never,
  );
  expect(await run(host, "ip", "link", "show", "br-test")).toContain("br-test");
});

it("holds a guest to its addresses", { timeout }, async () => {
  await hypervisor.startGuest(on(await bootingGuest(host, "web"), "10.74.0"), place, never);
  expect(await run(host, "virsh", "nwfilter-binding-list")).toMatch(/vnet\d+\s+clean-traffic/);
  const answers = async (): Promise<boolean> =>
    (await host.run("ping", ["-c", "1", "-W", "1", "10.74.0.7"])).exitCode === 0;
  await expect.poll(answers, { timeout: 150_000, interval: 500 }).toBe(true);
});

it("refuses a guest on a host that is not to have its network, or has another one", async () => {
  const refused = (message: RegExp): object => ({
    code: "POLYVISOR_REFUSED",
    message: expect.stringMatching(message) as string,
  });
  const elsewhere = hypervisor.startGuest(on(idleGuest("web"), "10.75.0"), place, never);
  await expect(elsewhere).rejects.toMatchObject(refused(/zone=other/));
  await hypervisor.startGuest(on(idleGuest("first"), "10.72.0"), place, never);
  const changed = open([{ range: "10.72.0.0/24", type: "nat" }]);
  await changed.open(never);
  const second = { ...on(idleGuest("second"), "10.72.0") };
  await expect(changed.startGuest(second, place, never)).rejects.toMatchObject(
    refused(/type "nat"/),
  );
  await changed[Symbol.asyncDispose]();
});

it("refuses settings that cannot be", () => {
  const twice = { range: "10.1.0.0/24", type: "nat" } as const;
  for (const networks of [
    [twice, twice],
    [{ range: "10.1.0.0/24", type: "open-vswitch", bridge: "br0", vlan: 4095 }],
  ] as const) {
    expect(() => open(networks)).toThrow(expect.objectContaining({ code: "POLYVISOR_INVALID" }));
  }
});
