import { describe, expect, it } from "vitest";
import { vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

function macAddress(name: string, spec: object = {}): object {
  return {
    apiVersion: "virtualization.deckhouse.io/v1alpha2",
    kind: "VirtualMachineMACAddress",
    metadata: { name },
    spec,
  };
}

function networks(name: string): object {
  return { networks: [{ type: "Main", virtualMachineMACAddressName: name }] };
}

async function leaseNames(world: World): Promise<string[]> {
  const { items } = await world.platform.virtualMachineMACAddressLeases.list();
  return items.map(({ metadata }) => metadata.name);
}

async function macOf(world: World, name: string): Promise<string | undefined> {
  const { metadata } = await world.vm(name);
  return world.hypervisor.guest(metadata.uid)?.spec.interfaces[0]?.mac;
}

describe("MAC addresses", () => {
  it("are given out by chance, with the platform's own first bytes", async () => {
    await using world = await World.open();
    await world.apply(macAddress("a"), macAddress("b"));
    const a = await world.untilPhase("VirtualMachineMACAddress", "a", "Bound");
    const b = await world.untilPhase("VirtualMachineMACAddress", "b", "Bound");
    const [first = "", second = ""] = [a.status?.address, b.status?.address];
    expect(first).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    expect(first.slice(0, 8)).toBe(second.slice(0, 8));
    expect(first).not.toBe(second);
    expect((await leaseNames(world)).sort()).toEqual(
      [first, second].map((mac) => `mac-${mac.replaceAll(":", "-")}`).sort(),
    );
  });

  it("that are asked for are used by the VM that names them, one at a time", async () => {
    await using world = await World.open();
    await world.apply(
      macAddress("mine", { address: "00-1A-2B-3C-4D-5E" }),
      ...vmWithDisk("a", networks("mine")),
    );
    await world.untilPhase("VirtualMachine", "a", "Running");
    expect(await leaseNames(world)).toEqual(["mac-00-1a-2b-3c-4d-5e"]);
    expect(await macOf(world, "a")).toBe("00:1a:2b:3c:4d:5e");
    await world.untilPhase("VirtualMachineMACAddress", "mine", "Attached");
    await world.apply(...vmWithDisk("b", networks("mine")));
    await world.untilPhase("VirtualMachine", "b", "Pending");
    expect(await world.message("VirtualMachine", "b", "VirtualMachineMACAddressReady")).toBe(
      'spec.networks[0]: VirtualMachineMACAddress "mine" is attached to VirtualMachine "a": waiting for it to be released.',
    );
    await world.platform.virtualMachines.delete("a");
    await world.untilPhase("VirtualMachine", "b", "Running");
    expect(await macOf(world, "b")).toBe("00:1a:2b:3c:4d:5e");
  });

  it("make a VM wait that names one which does not exist", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("a", networks("later")));
    await world.untilPhase("VirtualMachine", "a", "Pending");
    await world.apply(macAddress("later"));
    await world.untilPhase("VirtualMachine", "a", "Running");
  });

  it("are free for all at once when their claim is gone, and are kept while a VM has them", async () => {
    await using world = await World.open();
    await world.apply(
      macAddress("mine", { address: "00:1a:2b:3c:4d:5e" }),
      ...vmWithDisk("a", networks("mine")),
    );
    await world.untilPhase("VirtualMachine", "a", "Running");
    await world.platform.virtualMachineMACAddresses.delete("mine");
    await world.pass(60_000);
    expect(await leaseNames(world)).toHaveLength(1);
    await world.apply(vm("a", ["a"], { runPolicy: "AlwaysOff", networks: [{ type: "Main" }] }));
    await world.untilGone("VirtualMachineMACAddress", "mine");
    expect(await leaseNames(world)).toEqual([]);
    await world.apply(macAddress("theirs", { address: "00:1a:2b:3c:4d:5e" }));
    await world.untilPhase("VirtualMachineMACAddress", "theirs", "Bound");
  });

  it("whose lease is gone are not silently given anew", async () => {
    await using world = await World.open();
    await world.apply(macAddress("mine"));
    const { status } = await world.untilPhase("VirtualMachineMACAddress", "mine", "Bound");
    const lease = `mac-${status?.address?.replaceAll(":", "-")}`;
    await world.platform.virtualMachineMACAddressLeases.delete(lease);
    await world.untilPhase("VirtualMachineMACAddress", "mine", "Pending");
    expect(await world.message("VirtualMachineMACAddress", "mine", "Bound")).toBe(
      `The VirtualMachineMACAddressLease "${lease}" doesn't exist: delete this VirtualMachineMACAddress and create it anew.`,
    );
    await world.pass(3_600_000);
    expect(await leaseNames(world)).toEqual([]);
  });

  it("are bound once, whenever the manager dies", { timeout: 60_000 }, async () => {
    let deaths = 0;
    for (let writes = 0; ; writes += 1) {
      await using world = await World.open();
      await world.apply(macAddress("mine"), ...vmWithDisk("a", networks("mine")));
      world.writesLeft = writes;
      await world.pass(3_000);
      if (world.writesLeft > 0) break;
      deaths += 1;
      await world.stop();
      world.writesLeft = Number.POSITIVE_INFINITY;
      await world.start();
      await world.untilPhase("VirtualMachine", "a", "Running");
      expect(await leaseNames(world), `after ${writes} writes`).toHaveLength(1);
    }
    expect(deaths).toBeGreaterThan(5);
  });
});

describe("IPv6 and small ranges", () => {
  it("give VMs addresses of an IPv6 range", async () => {
    await using world = await World.open({ cidrs: ["fd00:66:10::/64"] });
    await world.apply(...vmWithDisk("a"));
    const { status } = await world.untilPhase("VirtualMachine", "a", "Running");
    expect(status?.ipAddress).toBe("fd00:66:10::2");
    const { items } = await world.platform.virtualMachineIPAddressLeases.list();
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["ip-fd00-66-10-0-0-0-0-2"]);
    const guest = world.hypervisor.guest((await world.vm("a")).metadata.uid);
    expect(guest?.spec.interfaces).toMatchObject([
      { cidr: "fd00:66:10::/64", gateway: "fd00:66:10::1", address: "fd00:66:10::2" },
    ]);
  });

  it("give VMs both addresses of a /31, without a gateway", async () => {
    await using world = await World.open({ cidrs: ["10.66.10.0/31"] });
    await world.apply(...vmWithDisk("a"), ...vmWithDisk("b"));
    const a = await world.untilPhase("VirtualMachine", "a", "Running");
    const b = await world.untilPhase("VirtualMachine", "b", "Running");
    expect(new Set([a.status?.ipAddress, b.status?.ipAddress])).toEqual(
      new Set(["10.66.10.0", "10.66.10.1"]),
    );
    expect(world.hypervisor.guest(a.metadata.uid)?.spec.interfaces[0]?.gateway).toBeUndefined();
  });
});
