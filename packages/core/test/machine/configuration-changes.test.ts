import type { VirtualMachineSpec } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import {
  type ChangeAbilities,
  configurationChanges,
  inBootOrder,
  planChanges,
} from "../../src/machine/configuration-changes.ts";

const SPEC: VirtualMachineSpec = {
  virtualMachineClassName: "generic",
  runPolicy: "AlwaysOnUnlessStoppedManually",
  cpu: { cores: 1, coreFraction: "100%" },
  memory: { size: "1Gi" },
  blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
  terminationGracePeriodSeconds: 60,
  enableParavirtualization: true,
  osType: "Generic",
  bootloader: "BIOS",
  liveMigrationPolicy: "PreferSafe",
  disruptions: { restartApprovalMode: "Manual" },
};
const ABLE: ChangeAbilities = { hotplug: true, placeable: true };
const UNABLE: ChangeAbilities = { hotplug: false, placeable: false };

/** `operation path action`, of each change. */
function changes(
  before: Partial<VirtualMachineSpec>,
  after: Partial<VirtualMachineSpec>,
  abilities: ChangeAbilities = ABLE,
): string[] {
  return configurationChanges({ ...SPEC, ...before }, { ...SPEC, ...after }, abilities).map(
    ({ operation, path, action }) => `${operation} ${path} ${action}`,
  );
}

it("the change of the guide reads as there", () => {
  const wanted = { ...SPEC, cpu: { ...SPEC.cpu, cores: 2 } };
  expect(planChanges(configurationChanges(SPEC, wanted, ABLE)).awaitingRestart).toEqual([
    { currentValue: 1, desiredValue: 2, operation: "replace", path: "cpu.cores" },
  ]);
});

describe("a change of", () => {
  it.each<[string, Partial<VirtualMachineSpec>, Partial<VirtualMachineSpec>, string[]]>([
    ["nothing", {}, {}, []],
    ["runPolicy", {}, { runPolicy: "AlwaysOff" }, []],
    ["disruptions", {}, { disruptions: { restartApprovalMode: "Automatic" } }, []],
    ["liveMigrationPolicy", {}, { liveMigrationPolicy: "AlwaysForced" }, []],
    [
      "the class",
      {},
      { virtualMachineClassName: "host" },
      ["replace virtualMachineClassName Restart"],
    ],
    [
      "the address",
      {},
      { virtualMachineIPAddressName: "fixed" },
      ["add virtualMachineIPAddress Restart"],
    ],
    [
      "the address back",
      { virtualMachineIPAddressName: "fixed" },
      {},
      ["remove virtualMachineIPAddress Restart"],
    ],
    ["cores", {}, { cpu: { cores: 2, coreFraction: "100%" } }, ["replace cpu.cores Restart"]],
    [
      "the core fraction",
      {},
      { cpu: { cores: 1, coreFraction: "20%" } },
      ["replace cpu.coreFraction Restart"],
    ],
    ["both", {}, { cpu: { cores: 2, coreFraction: "20%" } }, ["replace cpu Restart"]],
    ["memory", {}, { memory: { size: "2Gi" } }, ["replace memory.size Restart"]],
    [
      "the grace period",
      {},
      { terminationGracePeriodSeconds: 5 },
      ["replace terminationGracePeriodSeconds Restart"],
    ],
    [
      "paravirtualization",
      {},
      { enableParavirtualization: false },
      ["replace enableParavirtualization Restart"],
    ],
    ["the operating system", {}, { osType: "Windows" }, ["replace osType Restart"]],
    ["the bootloader", {}, { bootloader: "EFI" }, ["replace bootloader Restart"]],
    ["the priority", {}, { priorityClassName: "high" }, ["add priorityClassName Restart"]],
    [
      "the spread",
      {},
      {
        topologySpreadConstraints: [
          { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" },
        ],
      },
      ["add topologySpreadConstraints Restart"],
    ],
    ["an empty list for none", {}, { tolerations: [], nodeSelector: {}, usbDevices: [] }, []],
    ["the network Main for none", {}, { networks: [{ id: 1, type: "Main" }] }, []],
    [
      "networks",
      {},
      { networks: [{ type: "Main" }, { type: "Network", name: "a" }] },
      ["replace networks Restart"],
    ],
    [
      "how it is set up",
      { provisioning: { type: "UserData", userData: "a" } },
      { provisioning: { type: "UserData", userData: "b" } },
      ["replace provisioning.userData Restart"],
    ],
    [
      "the secret that sets it up",
      { provisioning: { type: "UserDataRef", userDataRef: { kind: "Secret", name: "a" } } },
      { provisioning: { type: "UserDataRef", userDataRef: { kind: "Secret", name: "b" } } },
      ["replace provisioning.userDataRef.name Restart"],
    ],
    [
      "the sort of set-up",
      { provisioning: { type: "UserData", userData: "a" } },
      { provisioning: { type: "SysprepRef", sysprepRef: { kind: "Secret", name: "b" } } },
      ["replace provisioning Restart"],
    ],
    [
      "no set-up to one",
      {},
      { provisioning: { type: "UserData", userData: "a" } },
      ["add provisioning Restart"],
    ],
    [
      "set-up to none",
      { provisioning: { type: "UserData", userData: "a" } },
      {},
      ["remove provisioning Immediate"],
    ],
  ])("%s", (_, before, after, expected) => {
    expect(changes(before, after)).toEqual(expected);
  });

  it.each([
    [{ nodeSelector: { disktype: "ssd" } }, "nodeSelector"],
    [{ tolerations: [{ operator: "Exists" }] }, "tolerations"],
    [{ affinity: { nodeAffinity: {} } }, "affinity"],
  ] as const)("%j applies at once where the guest stays or can be moved", (after, path) => {
    expect(changes({}, after)).toEqual([`add ${path} Immediate`]);
    expect(changes({}, after, UNABLE)).toEqual([`add ${path} Restart`]);
  });
});

describe("block devices", () => {
  /** `d` is a disk, `i` an image; a number is the boot order. */
  function refs(text: string): VirtualMachineSpec["blockDeviceRefs"] {
    return text.split(" ").map((word) => {
      const [name = "", order] = word.split(":");
      const kind = name.startsWith("i") ? "VirtualImage" : "VirtualDisk";
      return { kind, name, ...(order !== undefined && { bootOrder: Number(order) }) };
    });
  }

  it.each<[string, string, string[]]>([
    ["d1", "d1", []],
    ["d1", "d1 d2", ["add blockDeviceRefs.1 Immediate"]],
    ["d1", "d1 i2 d3", ["add blockDeviceRefs.1 Immediate", "add blockDeviceRefs.2 Immediate"]],
    ["d1 d2", "d1", ["remove blockDeviceRefs.1 Immediate"]],
    ["d1 d2 d3", "d1 d3", ["remove blockDeviceRefs.1 Immediate"]],
    ["d1 d2", "d2", ["remove blockDeviceRefs.0 Immediate"]],
    ["d1", "d2", ["remove blockDeviceRefs.0 Immediate", "add blockDeviceRefs.0 Immediate"]],
    ["d1", "d2 d1", ["add blockDeviceRefs.0 Restart"]],
    ["d1 d2", "d2 d1", ["replace blockDeviceRefs.0 Restart", "replace blockDeviceRefs.1 Restart"]],
    [
      "d1 d2",
      "d1 d2:1",
      ["replace blockDeviceRefs.0 Restart", "replace blockDeviceRefs.1 Restart"],
    ],
    ["d1 d2", "d1:1 d2:2", []],
    ["d1", "d1 d2:1", ["add blockDeviceRefs.1 Restart"]],
    ["d1", "i1", ["remove blockDeviceRefs.0 Immediate", "add blockDeviceRefs.0 Immediate"]],
  ])("from %s to %s", (before, after, expected) => {
    const pair = [{ blockDeviceRefs: refs(before) }, { blockDeviceRefs: refs(after) }] as const;
    expect(changes(...pair)).toEqual(expected);
    expect(changes(...pair, UNABLE)).toEqual(
      expected.map((line) => line.replace("Immediate", "Restart")),
    );
  });

  it("are booted from by their order, the others after those in the order of the list", () => {
    expect(inBootOrder(refs("d1 d2:2 d3 d4:1")).map(({ name }) => name)).toEqual([
      "d4",
      "d2",
      "d1",
      "d3",
    ]);
  });

  it("show what is there and what is wanted", () => {
    const found = configurationChanges(
      { ...SPEC, blockDeviceRefs: refs("d1 d2") },
      { ...SPEC, blockDeviceRefs: refs("d1 d2:1") },
      ABLE,
    );
    expect(found[1]).toMatchObject({
      currentValue: { kind: "VirtualDisk", name: "d2" },
      desiredValue: { kind: "VirtualDisk", name: "d2", bootOrder: 1 },
    });
  });
});

it("a change that needs a restart holds up the others", () => {
  const plug = {
    blockDeviceRefs: [...SPEC.blockDeviceRefs, { kind: "VirtualDisk", name: "more" }],
  } as const;
  const both = planChanges(
    configurationChanges(SPEC, { ...SPEC, ...plug, memory: { size: "2Gi" } }, ABLE),
  );
  expect(both.immediate).toEqual([]);
  expect(both.awaitingRestart.map(({ path }) => path)).toEqual(["memory.size"]);
  const alone = planChanges(configurationChanges(SPEC, { ...SPEC, ...plug }, ABLE));
  expect(alone.awaitingRestart).toEqual([]);
  expect(alone.immediate.map(({ path }) => path)).toEqual(["blockDeviceRefs.1"]);
});
