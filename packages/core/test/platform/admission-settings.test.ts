import { createPlatform } from "@polyvisor/core";
import { FakeHypervisor, FakeStorage } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { address } from "../support/manifests.ts";
import { World } from "../support/world.ts";

function moduleConfig(virtualMachineCIDRs: readonly string[], more: object = {}): object {
  return {
    apiVersion: "deckhouse.io/v1alpha1",
    kind: "ModuleConfig",
    metadata: { name: "virtualization" },
    spec: { settings: { virtualMachineCIDRs, ...more } },
  };
}

describe("a ModuleConfig is refused with", () => {
  it.each<[string[], string]>([
    [
      ["10.66.10.0/24", "nonsense"],
      '[1]: "nonsense" is not an address range: write it as 10.66.10.0/24 or fd00:66:10::/64',
    ],
    [["8.0.0.0/7"], '[0]: "8.0.0.0/7" must be between /8 and /32 wide'],
    [
      ["10.66.10.0/24", "10.66.0.0/16"],
      ": 10.66.0.0/16 and 10.66.10.0/24 overlap: make the ranges disjoint",
    ],
  ])("%j", async (cidrs, message) => {
    await using world = await World.open();
    await expect(world.apply(moduleConfig(cidrs))).rejects.toThrow(
      `ModuleConfig "virtualization" is invalid: spec.settings.virtualMachineCIDRs${message}`,
    );
  });

  it("the wish to switch the platform off", async () => {
    await using world = await World.open();
    const config = moduleConfig(["10.66.10.0/24"]) as { spec: object };
    await expect(
      world.apply({ ...config, spec: { ...config.spec, enabled: false } }),
    ).rejects.toThrow(
      'ModuleConfig "virtualization" is invalid: spec.enabled: the platform is not switched off by its settings: dispose of it instead',
    );
  });

  it("warnings of what has no effect", async () => {
    await using world = await World.open();
    const more = { dvcr: {}, liveMigration: { network: { type: "SystemNetwork" } } };
    const [applied] = await world.platform.apply([moduleConfig(["10.66.10.0/24"], more)]);
    expect(applied?.warnings).toEqual([
      "spec.settings.dvcr is kept and has no effect here",
      "spec.settings.liveMigration.network is kept and has no effect here",
    ]);
  });

  it("a setting that does not exist", async () => {
    await using world = await World.open();
    await expect(world.apply(moduleConfig([], { virtualMachineCIRDs: [] }))).rejects.toThrow(
      'ModuleConfig "virtualization" is invalid: spec.settings.virtualMachineCIRDs: unknown field',
    );
  });
});

describe("a VirtualMachineIPAddress is refused with", () => {
  it.each<[object, string]>([
    [
      { type: "Auto", staticIP: "10.66.10.9" },
      "the VirtualMachineIPAddress cannot be created: The 'Static IP' field is set for the 10.66.10.9 IP address with the 'Auto' type",
    ],
    [
      { type: "Static" },
      "the 'Static IP' field should be set for the IP address with the 'Static' type",
    ],
    [
      { type: "Static", staticIP: "10.66.10" },
      'the specified static IP address "10.66.10" is not a valid textual representation of an IP address',
    ],
    [
      { type: "Static", staticIP: "10.67.10.9" },
      "the requested address 10.67.10.9 is out of the valid range: choose one in 10.66.10.0/24, 10.66.20.0/24",
    ],
    ...["10.66.10.0", "10.66.10.1", "10.66.10.255"].map((staticIP): [object, string] => [
      { type: "Static", staticIP },
      `the requested address ${staticIP} is reserved in 10.66.10.0/24 (network, gateway and broadcast address): choose another`,
    ]),
  ])("%j", async (spec, message) => {
    await using world = await World.open({ cidrs: ["10.66.10.0/24", "10.66.20.0/24"] });
    await expect(world.apply(address("a", spec))).rejects.toThrow(
      `VirtualMachineIPAddress "default/a" is invalid: spec.staticIP: ${message}`,
    );
  });

  it("no ranges", async () => {
    await using world = await World.open({ cidrs: [] });
    await expect(world.apply(address("a", { type: "Auto" }))).rejects.toThrow(
      'VirtualMachineIPAddress "default/a" is invalid: spec: operations with VirtualMachineIPAddresses are forbidden: ModuleConfig/virtualization spec.settings.virtualMachineCIDRs field is not configured',
    );
  });

  it("an address that somebody else has, and a change of a bound one", async () => {
    await using world = await World.open();
    const fixed = (staticIP: string): object => ({ type: "Static", staticIP });
    await world.apply(address("a", fixed("10.66.10.9")), address("auto", { type: "Auto" }));
    await world.untilPhase("VirtualMachineIPAddress", "a", "Bound");
    await world.untilPhase("VirtualMachineIPAddress", "auto", "Bound");
    await expect(world.apply(address("b", fixed("10.66.10.9")))).rejects.toThrow(
      'VirtualMachineIPAddress "default/b" is invalid: spec.staticIP: the VirtualMachineIPAddress cannot be created: the specified IP address 10.66.10.9 has already been allocated and has not been released',
    );
    await expect(world.apply(address("a", fixed("10.66.10.10")))).rejects.toThrow(
      `VirtualMachineIPAddress "default/a" is invalid: spec.staticIP: the VirtualMachineIPAddress is in 'Bound' state -> static IP cannot be changed`,
    );
    await world.apply(address("auto", fixed("10.66.10.2")));
  });
});

describe("createPlatform refuses", () => {
  it("settings that break a rule, and closes what it has opened", async () => {
    let closed = 0;
    const hypervisor = Object.assign(new FakeHypervisor(), {
      [Symbol.asyncDispose]: async () => {
        closed += 1;
      },
    });
    const settings = { virtualMachineCIDRs: ["10.0.0.0/33"] };
    await expect(createPlatform({ backends: [{ hypervisor }], settings })).rejects.toMatchObject({
      code: "POLYVISOR_INVALID",
    });
    expect(closed).toBe(1);
  });

  it("a storage whose volumes no hypervisor can use, before anything is opened", async () => {
    const storage = Object.assign(new FakeStorage({ name: "disks" }), {
      capabilities: { blockSources: ["block"] },
    });
    const hypervisor = Object.assign(new FakeHypervisor(), {
      capabilities: { blockSources: ["file"], consoles: { serial: false } },
      open: () => expect.fail("it was opened"),
    });
    await expect(createPlatform({ backends: [{ hypervisor, storage }] })).rejects.toMatchObject({
      code: "POLYVISOR_UNSUPPORTED",
      message:
        'storage "disks" gives volumes as block, and the hypervisors take file: choose a storage and a hypervisor that fit',
    });
  });
});
