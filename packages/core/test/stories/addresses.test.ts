import { describe, expect, it } from "vitest";
import { address, vm, vmWithDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

function leaseNames(world: World): Promise<string[]> {
  return world.platform.virtualMachineIPAddressLeases
    .list()
    .then(({ items }) => items.map(({ metadata }) => metadata.name));
}

function fixed(name: string, staticIP: string, namespace = "default"): object {
  return { ...address(name, { type: "Static", staticIP }), metadata: { name, namespace } };
}

describe("addresses", () => {
  it("are given out from the lowest, and named ones are used as they are", async () => {
    await using world = await World.open();
    await world.apply(fixed("mine", "10.66.10.3"));
    await world.untilPhase("VirtualMachineIPAddress", "mine", "Bound");
    for (const name of ["a", "b"]) {
      await world.apply(...vmWithDisk(name));
      await world.untilPhase("VirtualMachine", name, "Running");
    }
    await world.apply(...vmWithDisk("c", { virtualMachineIPAddressName: "mine" }));
    await world.untilPhase("VirtualMachine", "c", "Running");
    const addresses = await Promise.all(["a", "b", "c"].map((name) => world.vm(name)));
    expect(addresses.map(({ status }) => status?.ipAddress)).toEqual([
      "10.66.10.2",
      "10.66.10.4",
      "10.66.10.3",
    ]);
    expect(await leaseNames(world)).toEqual(["ip-10-66-10-2", "ip-10-66-10-3", "ip-10-66-10-4"]);
  });

  it("that are exhausted make VMs wait until one is freed or a range is added", async () => {
    await using world = await World.open({ cidrs: ["10.66.10.0/30"] });
    await world.apply(...vmWithDisk("a"));
    await world.untilPhase("VirtualMachine", "a", "Running");
    await world.apply(...vmWithDisk("b"), ...vmWithDisk("c"));
    await world.pass(60_000);
    const type = "VirtualMachineIPAddressReady";
    const exhausted =
      "Failed to allocate new IP address: no remaining ips in 10.66.10.0/30: add a range to spec.settings.virtualMachineCIDRs of ModuleConfig/virtualization.";
    expect(await world.message("VirtualMachine", "b", type)).toBe(exhausted);
    expect(await world.message("VirtualMachine", "c", type)).toBe(exhausted);
    await world.platform.virtualMachines.delete("a");
    await world.untilGone("VirtualMachine", "a");
    await world.pass(599_000);
    expect(world.running()).toEqual([]);
    await world.pass(2_000);
    expect(world.running()).toHaveLength(1);
    await world.platform.moduleConfigs.patch("virtualization", {
      spec: { settings: { virtualMachineCIDRs: ["10.66.10.0/30", "10.66.11.0/30"] } },
    });
    await world.until("the last one", () => world.running().length === 2);
    expect(await leaseNames(world)).toEqual(["ip-10-66-10-2", "ip-10-66-11-2"]);
  });

  it("need ranges, which may be configured later", async () => {
    await using world = await World.open({ cidrs: [] });
    await expect(world.apply(...vmWithDisk("a"))).rejects.toThrow(
      'VirtualMachine "default/a" is invalid: spec.networks: spec.networks cannot be empty when ModuleConfig/virtualization has no configured IP ranges: set spec.settings.virtualMachineCIDRs of the ModuleConfig',
    );
    await world.platform.moduleConfigs.patch("virtualization", {
      spec: { settings: { virtualMachineCIDRs: ["10.66.10.0/24"] } },
    });
    await world.apply(...vmWithDisk("a"));
    await world.untilPhase("VirtualMachine", "a", "Running");
  });

  it("are kept for their namespace for ten minutes, and then free for all", async () => {
    await using world = await World.open();
    await world.apply(fixed("mine", "10.66.10.9"));
    await world.untilPhase("VirtualMachineIPAddress", "mine", "Bound");
    await world.platform.virtualMachineIPAddresses.delete("mine");
    await world.untilGone("VirtualMachineIPAddress", "mine");
    await expect(world.apply(fixed("theirs", "10.66.10.9", "other"))).rejects.toThrow(
      "has already been allocated and has not been released",
    );
    await world.apply(fixed("again", "10.66.10.9"));
    await world.untilPhase("VirtualMachineIPAddress", "again", "Bound");
    await world.pass(1_200_000);
    expect(await leaseNames(world)).toEqual(["ip-10-66-10-9"]);
    await world.platform.virtualMachineIPAddresses.delete("again");
    await world.pass(599_000);
    await world.restart();
    expect(await leaseNames(world)).toEqual(["ip-10-66-10-9"]);
    await world.pass(2_000);
    expect(await leaseNames(world)).toEqual([]);
    await world.apply(fixed("theirs", "10.66.10.9", "other"));
  });

  it("whose lease is gone are not silently given anew", async () => {
    await using world = await World.open();
    await world.apply(address("auto", { type: "Auto" }));
    await world.untilPhase("VirtualMachineIPAddress", "auto", "Bound");
    await world.platform.virtualMachineIPAddressLeases.delete("ip-10-66-10-2");
    await world.untilPhase("VirtualMachineIPAddress", "auto", "Pending");
    expect(await world.message("VirtualMachineIPAddress", "auto", "Bound")).toBe(
      'The VirtualMachineIPAddressLease "ip-10-66-10-2" doesn\'t exist: delete this VirtualMachineIPAddress and create it anew.',
    );
    expect(await leaseNames(world)).toEqual([]);
  });

  it("that do not exist make the VM wait for them", async () => {
    await using world = await World.open();
    await world.apply(...vmWithDisk("a", { virtualMachineIPAddressName: "later" }));
    await world.pass(1_000);
    expect(await world.message("VirtualMachine", "a", "VirtualMachineIPAddressReady")).toBe(
      'spec.virtualMachineIPAddressName: The requested VirtualMachineIPAddress "later" was not found: waiting for it to appear.',
    );
    await world.apply(fixed("later", "10.66.10.77"));
    await world.untilPhase("VirtualMachine", "a", "Running");
    expect(world.running()).toHaveLength(1);
  });
});

describe("one address that several VMs name", () => {
  const spec = { virtualMachineIPAddressName: "shared" };

  it("goes to one of them, also when they come at the same time, and then to the next", async () => {
    await using world = await World.open();
    const { virtualMachines } = world.platform;
    await world.apply(...["c", "b", "a"].flatMap((name) => vmWithDisk(name, spec)));
    await world.pass(1_000);
    await world.apply(fixed("shared", "10.66.10.9"));
    await world.pass(0);
    expect(world.running()).toEqual([]);
    // A change of the hosts makes all VMs that wait look at the same moment.
    world.hypervisor.setReachable("node-2", false);
    await world.until("one of them", () => world.running().length > 0);
    await world.pass(600_000);
    const left = new Set(["a", "b", "c"]);
    while (left.size > 0) {
      const [holder] = world.running();
      expect(world.running()).toHaveLength(1);
      left.delete(holder?.name ?? "");
      for (const name of left) {
        expect(await world.message("VirtualMachine", name, "VirtualMachineIPAddressReady")).toBe(
          `spec.virtualMachineIPAddressName: VirtualMachineIPAddress "shared" is attached to VirtualMachine "${holder?.name}": waiting for it to be released.`,
        );
      }
      await virtualMachines.delete(holder?.name ?? "");
      await world.untilGone("VirtualMachine", holder?.name ?? "");
      await world.pass(10_000);
    }
    expect(world.running()).toEqual([]);
  });

  it("stays with the one that runs when another comes whose name is lower", async () => {
    await using world = await World.open();
    await world.apply(fixed("shared", "10.66.10.9"), ...vmWithDisk("z", spec));
    await world.untilPhase("VirtualMachine", "z", "Running");
    await world.apply(...vmWithDisk("a", spec));
    await world.pass(600_000);
    // As a manager leaves it that dies when both have asked for the address.
    await world.stop();
    const a = await world.store.get("VirtualMachine", { name: "a", namespace: "default" });
    if (a?.status === undefined) throw new Error("the VM has no status");
    const status = { ...a.status, virtualMachineIPAddressName: "shared" };
    await world.store.updateStatus("VirtualMachine", { ...a, status });
    await world.start();
    await world.pass(600_000);
    expect(world.running().map(({ name }) => name)).toEqual(["z"]);
    await world.platform.virtualMachineIPAddresses.delete("shared");
    await world.pass(10_000);
    expect(await world.find("VirtualMachineIPAddress", "shared")).toBeDefined();
    await world.apply(vm("a", ["a"]));
    await world.until("both", () => world.running().length === 2);
  });
});
