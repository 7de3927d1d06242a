import type { Resource, VirtualMachineOperation } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import type { AdmissionContext } from "../../src/api/kind.ts";
import { KINDS } from "../../src/api/kinds.ts";
import type { OperationWish } from "../../src/api/operation-supersede.ts";
import { answer, answerToChange, put } from "../support/refusal.ts";
import { address, attachment, blankDisk, vm } from "../support/manifests.ts";
import { metadata } from "../support/resources.ts";
import { World } from "../support/world.ts";

/** Rules that need a look at the settings, at other resources, or at what is known about the resource itself. */

const API = "virtualization.deckhouse.io/v1alpha2";
const NOW = "2026-01-01T00:00:00Z";
const OBSERVED = { conditions: [], observedGeneration: 1 };

function resource(kind: string, name: string, spec: object, more: object = {}): object {
  return { apiVersion: API, kind, metadata: { name, ...more }, spec };
}

function disks(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({ kind: "VirtualDisk", name: `d${index}` }));
}

const IMAGE = resource("VirtualImage", "ubuntu", {
  dataSource: { type: "HTTP", http: { url: "https://images.example/a" } },
});

describe("block devices", () => {
  it("are 16 at most, attached ones included", async () => {
    const attached = ["a", "b"].map((name) => attachment(name, "linux", name));
    const machine = vm("linux", [], { blockDeviceRefs: disks(15) });
    expect(await answer(machine, attached)).toBe(
      'VirtualMachine "default/linux" is invalid: spec.blockDeviceRefs: block device attached to VirtualMachine "linux" limit reached: 17 devices found, 16 is maximum',
    );
    expect(await answer(machine, attached.slice(1))).toBe("accepted");
  });

  it("cannot be attached beyond 16", async () => {
    const full = vm("linux", [], { blockDeviceRefs: disks(16) });
    expect(await answer(attachment("more", "linux", "extra"), [full])).toBe(
      'VirtualMachineBlockDeviceAttachment "default/more" is invalid: spec.virtualMachineName: block device attached to VirtualMachine "linux" limit reached: 17 devices found, 16 is maximum',
    );
  });

  it("that are disks are attached once", async () => {
    const first = attachment("first", "linux", "data");
    expect(await answer(attachment("second", "other", "data"), [first])).toBe(
      'VirtualMachineBlockDeviceAttachment "default/second" is invalid: spec.blockDeviceRef: another VirtualMachineBlockDeviceAttachment default/first already exists with the same block device data for hot-plugging',
    );
    expect(await answer(vm("linux", ["root", "data"]), [first])).toBe(
      'VirtualMachine "default/linux" is invalid: spec.blockDeviceRefs: VirtualDisk "data" is attached by VirtualMachineBlockDeviceAttachment "first" already: delete that first',
    );
  });

  it("are not attached to what could not see them", async () => {
    const legacy = vm("old", ["root"], { osType: "Legacy", enableParavirtualization: false });
    expect(await answer(attachment("a", "old", "data"), [legacy])).toContain(
      'VirtualMachine "old" has the Legacy osType and enableParavirtualization=false: block devices cannot be attached while it runs',
    );
  });

  it.each([
    [
      { phase: "Ready", cdrom: false },
      "a non-CDROM VirtualImage cannot occupy the first position in block devices: VirtualImage ubuntu is not CDROM",
    ],
    [{ phase: "Ready", cdrom: true }, undefined],
    [{ phase: "Provisioning", cdrom: false }, undefined],
  ])("do not begin with the image of a disk: %j", async (status, message) => {
    await using world = await World.open();
    await put(world, IMAGE, { ...status, ...OBSERVED });
    const refs = [{ kind: "VirtualImage", name: "ubuntu" }, ...disks(1)];
    const said = await world.platform.apply([vm("linux", [], { blockDeviceRefs: refs })]).then(
      () => "",
      (error: Error) => error.message,
    );
    if (message === undefined) expect(said).not.toContain("CDROM");
    else expect(said).toContain(`spec.blockDeviceRefs[0]: ${message}`);
  });

  it.each([
    [
      [1, 1],
      'duplicate bootOrder 1: already used by VirtualDisk "d0", conflicts with VirtualDisk "d1"',
    ],
    [[0, 1], "bootOrder must be >= 1, got 0"],
  ])("have boot orders of their own: %j", async (orders, message) => {
    const refs = disks(2).map((ref, index) => ({ ...ref, bootOrder: orders[index] }));
    expect(await answer(vm("linux", [], { blockDeviceRefs: refs }))).toContain(message);
  });
});

describe("operations", () => {
  /** What the rules say to an operation while there is another one; no controller ends that one meanwhile. */
  async function second(
    next: OperationWish,
    first: OperationWish,
    phase: string | undefined,
  ): Promise<string> {
    const make = (name: string, spec: OperationWish): VirtualMachineOperation => ({
      apiVersion: API,
      kind: "VirtualMachineOperation",
      metadata: metadata(name),
      spec: { virtualMachineName: "linux", ...spec },
    });
    const status = phase === undefined ? {} : { status: { phase, ...OBSERVED } };
    const stored = { ...make("first", first), ...status } as VirtualMachineOperation;
    const issues = await KINDS.VirtualMachineOperation.admit?.(make("second", next), {
      previous: undefined,
      virtualMachineCIDRs: [],
      get: () => Promise.resolve(undefined),
      list: (() => Promise.resolve([stored])) as AdmissionContext<Resource>["list"],
      warn: () => {},
    });
    return issues?.map(({ message }) => message).join("; ") ?? "";
  }

  it.each([undefined, "Pending", "InProgress"])("wait for one that is %s", async (phase) => {
    expect(await second({ type: "Stop" }, { type: "Restart" }, phase)).toBe(
      'VMOP cannot be executed now. Previously created operation "first" should finish first',
    );
  });

  it.each(["Completed", "Failed", "Superseded"])(
    "do not wait for one that is %s",
    async (phase) => {
      expect(await second({ type: "Stop" }, { type: "Restart" }, phase)).toBe("");
    },
  );

  it("take the place of one that they supersede", async () => {
    expect(await second({ type: "Stop", force: true }, { type: "Stop" }, "InProgress")).toBe("");
  });
});

describe("metadata", () => {
  it.each([
    [{ labels: { "virtualization.deckhouse.io/x": "y" } }, "label"],
    [{ annotations: { "my.virtualization.deckhouse.io/x": "y" } }, "annotation"],
  ])("of the group is not for users: %j", async (more, what) => {
    const machine = vm("linux", ["root"]);
    const reserved = { ...machine, metadata: { name: "linux", ...more } };
    const message = `using the virtualization.deckhouse.io group's name in the ${what} is prohibited`;
    expect(await answer(reserved)).toContain(message);
    expect(await answerToChange(machine, reserved)).toContain(message);
    // What is there already may stay.
    expect(await answerToChange(reserved, reserved)).toBe("accepted");
  });

  it("makes one class the default at most", async () => {
    const annotations = {
      "virtualmachineclass.virtualization.deckhouse.io/is-default-class": "true",
    };
    const one = resource("VirtualMachineClass", "one", { cpu: { type: "Host" } }, { annotations });
    const two = resource("VirtualMachineClass", "two", { cpu: { type: "Host" } });
    const message =
      "multiple default virtual machine classes are prohibited, current default class is one";
    const marked = { ...two, metadata: { name: "two", annotations } };
    expect(await answer(marked, [one])).toContain(message);
    await using world = await World.open();
    await world.apply(one, two);
    await expect(
      world.platform.virtualMachineClasses.patch("two", { metadata: { annotations } }),
    ).rejects.toThrow(message);
    const machine = vm("linux", ["root"]) as { spec: object };
    const { virtualMachineClassName: _, ...spec } = machine.spec as Record<string, unknown>;
    await world.apply({ ...machine, spec });
    expect((await world.vm("linux")).spec.virtualMachineClassName).toBe("one");
  });

  it("names a default class where a VM names none", async () => {
    const machine = vm("linux", ["root"], { virtualMachineClassName: "" });
    expect(await answer(machine)).toContain(
      'spec.virtualMachineClassName is empty and no default VirtualMachineClass is configured; set spec.virtualMachineClassName explicitly or mark one VirtualMachineClass as default with the "virtualmachineclass.virtualization.deckhouse.io/is-default-class" annotation set to "true"',
    );
  });
});

describe("sizes", () => {
  it.each<[object, string]>([
    [
      { cores: 8, coreFraction: "5%" },
      'the CPU core fraction "5%" is not allowed; set the core fraction (spec.cpu.coreFraction) to one of: 20%, 50%, 100%',
    ],
    [{ cores: 1, coreFraction: "30%" }, "to one of: 5%, 10%, 20%, 50%, 100%"],
  ])("are those of the class: %j", async (cpu, message) => {
    const said = await answer(vm("linux", ["root"], { virtualMachineClassName: "generic", cpu }));
    expect(said).toContain('does not match the sizing policy of VirtualMachineClass "generic": ');
    expect(said).toContain(message);
  });

  it("need a class for a core fraction that is not named", async () => {
    const unknown = { virtualMachineClassName: "late", cpu: { cores: 1 } };
    expect(await answer(vm("linux", ["root"], unknown))).toContain(
      'failed to get VirtualMachineClass "late"',
    );
  });

  it("of a class that is not there yet are only warned of", async () => {
    await using world = await World.open();
    const unknown = { virtualMachineClassName: "late", cpu: { cores: 1, coreFraction: "10%" } };
    const [applied] = await world.platform.apply([vm("linux", ["root"], unknown)]);
    expect(applied?.warnings).toEqual([
      'The VM class "late" does not exist; it may not have been created yet. Until it is created, the virtual machine will remain in a pending status.',
    ]);
  });
});

describe("addresses", () => {
  it("that have the name of a VM are for that VM by name", async () => {
    const mine = address("linux", { type: "Static", staticIP: "10.66.10.9" });
    expect(await answer(vm("linux", ["root"]), [mine])).toContain(
      "spec.virtualMachineIPAddressName: VirtualMachineIPAddress with the name of the virtual machine already exists: set spec.virtualMachineIPAddressName field to linux to use IP 10.66.10.9",
    );
    const named = vm("linux", ["root"], { virtualMachineIPAddressName: "linux" });
    expect(await answer(named, [mine])).toBe("accepted");
  });

  it.each<[object, object, string | undefined]>([
    [
      { type: "Auto" },
      { type: "Static", staticIP: "10.66.10.9" },
      "only type change Auto->Static is allowed: can't change current IP 10.66.10.5 to the specified 10.66.10.9",
    ],
    [{ type: "Auto" }, { type: "Static", staticIP: "10.66.10.5" }, undefined],
    [
      { type: "Static", staticIP: "10.66.10.5" },
      { type: "Auto" },
      "the VirtualMachineIPAddress is in 'Bound' state -> type cannot be changed",
    ],
    [
      { type: "Static", staticIP: "10.66.10.5" },
      { type: "Static", staticIP: "10.66.10.6" },
      "the VirtualMachineIPAddress is in 'Bound' state -> static IP cannot be changed",
    ],
  ])("stay what they are once they are bound: %j to %j", async (before, after, message) => {
    const status = { phase: "Bound", address: "10.66.10.5", ...OBSERVED };
    const said = await answerToChange(address("a", before), address("a", after), status);
    if (message === undefined) expect(said).toBe("accepted");
    else expect(said).toContain(message);
  });

  it("that are leased keep their range", async () => {
    await using world = await World.open({ cidrs: ["10.66.10.0/24", "10.66.20.0/24"] });
    await world.apply(address("a", { type: "Static", staticIP: "10.66.20.9" }));
    await world.untilPhase("VirtualMachineIPAddress", "a", "Bound");
    const ranges = (virtualMachineCIDRs: string[]): Promise<unknown> =>
      world.platform.moduleConfigs.patch("virtualization", {
        spec: { settings: { virtualMachineCIDRs } },
      });
    await expect(ranges(["10.66.10.0/24"])).rejects.toThrow(
      "spec.settings.virtualMachineCIDRs: 1 leased address(es) would be in no range, such as 10.66.20.9: keep their range, or delete their VirtualMachineIPAddresses first",
    );
    await ranges(["10.66.20.0/24"]);
    await ranges(["10.66.20.0/25"]);
  });

  it("of networks are taken once", async () => {
    const mac = (name: string, spec: object): object =>
      resource("VirtualMachineMACAddress", name, spec);
    const lease = resource("VirtualMachineMACAddressLease", "mac-02-00-00-00-00-01", {
      virtualMachineMACAddressRef: { name: "a", namespace: "default" },
    });
    expect(await answer(mac("b", { address: "02-00-00-00-00-01" }), [lease])).toContain(
      "the VirtualMachineMACAddress cannot be created: the specified MAC address 02:00:00:00:00:01 has already been allocated and has not been released",
    );
    expect(await answer(mac("b", { address: "03:00:00:00:00:01" }))).toContain(
      "03:00:00:00:00:01 is a group address: choose one with an even first byte",
    );
    const bound = { phase: "Bound", address: "02:00:00:00:00:01", ...OBSERVED };
    const change = await answerToChange(
      mac("a", {}),
      mac("a", { address: "02:00:00:00:00:02" }),
      bound,
    );
    expect(change).toContain(
      "the VirtualMachineMACAddress is in 'Bound' state -> address cannot be changed",
    );
  });
});

describe("networks", () => {
  const main = { type: "Main" };
  const other = { type: "Network", name: "lan" };

  it.each<[object[], string]>([
    [[other, main], "spec.networks[1]: network Main must be the first in the list"],
    [[{ ...main, name: "x" }], "spec.networks[0]: network Main has no name: leave it out"],
    [[main, { type: "Network" }], "spec.networks[1]: a network of type Network needs a name"],
    [[main, other, other], "spec.networks[2]: network Network:lan is duplicated"],
    [[main, { ...other, id: 16_384 }], "network id must be between 1 and 16383, got 16384"],
    [[{ ...main, id: 2 }], "network id for network Main must be 1"],
    [[main, { ...other, id: 1 }], "network id 1 is for network Main"],
    [
      [main, { ...other, id: 2 }, { type: "ClusterNetwork", name: "wan", id: 2 }],
      "network id 2 is used twice",
    ],
  ])("%j are refused", async (networks, message) => {
    expect(await answer(vm("linux", ["root"], { networks }))).toContain(message);
  });

  it("keep their ids while a VM is not stopped", async () => {
    const wanted = (id: number): object =>
      vm("linux", ["root"], { networks: [main, { ...other, id }] });
    const change = (phase: string): Promise<string> =>
      answerToChange(wanted(2), wanted(3), { phase, ...OBSERVED });
    const message =
      "spec.networks[1].id: network id can be changed only while the VirtualMachine is Stopped: it is 2";
    expect(await change("Running")).toContain(message);
    expect(await change("Stopped")).not.toContain(message);
  });
});

describe("placement terms", () => {
  const nodes = (requirement: object): object => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", ...requirement }] }],
        },
      },
    },
  });
  const spread = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" };

  it.each<[object, string]>([
    [
      nodes({ operator: "In" }),
      "values of \"disk\" must be specified when `operator` is 'In' or 'NotIn'",
    ],
    [
      nodes({ operator: "Exists", values: ["ssd"] }),
      "values of \"disk\" may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ],
    [
      nodes({ operator: "Gt", values: ["many"] }),
      "values of \"disk\" must be one whole number when `operator` is 'Lt' or 'Gt'",
    ],
    [{ tolerations: [{ effect: "NoSchedule" }] }, "operator must be Exists when `key` is empty"],
    [
      { tolerations: [{ key: "a", operator: "Exists", value: "b" }] },
      "value must be empty when `operator` is 'Exists'",
    ],
    [
      { tolerations: [{ key: "a", value: "b", tolerationSeconds: 5 }] },
      "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ],
    [
      { topologySpreadConstraints: [spread, spread] },
      "there is a constraint with topologyKey zone and whenUnsatisfiable DoNotSchedule already",
    ],
  ])("%j are refused", async (spec, message) => {
    expect(await answer(vm("linux", ["root"], spec))).toContain(message);
  });
});

describe("disks", () => {
  const size = (text: string | undefined): object =>
    resource("VirtualDisk", "d", {
      dataSource: { type: "HTTP", http: { url: "https://images.example/a" } },
      ...(text !== undefined && { persistentVolumeClaim: { size: text } }),
    });
  const ready = (phase = "Ready"): object => ({ phase, capacity: "2Gi", ...OBSERVED });
  const field = "spec.persistentVolumeClaim.size";

  it.each<[string | undefined, string | undefined, string, string]>([
    [
      "2Gi",
      "1Gi",
      "Ready",
      `${field} value (1Gi) should be greater than or equal to the current value (2Gi)`,
    ],
    [
      undefined,
      "1Gi",
      "Ready",
      `${field} value (1Gi) should be greater than or equal to the current value (2Gi)`,
    ],
    ["2Gi", undefined, "Ready", `${field} cannot be omitted once set`],
    [
      "2Gi",
      "3Gi",
      "Migrating",
      `${field} cannot be changed during migration. Please wait for the migration to finish`,
    ],
  ])("of %s cannot become %s while %s", async (before, after, phase, message) => {
    expect(await answerToChange(size(before), size(after), ready(phase))).toContain(message);
  });

  it("may become smaller before they are made", async () => {
    expect(await answerToChange(size("2Gi"), size("1Gi"), ready("Pending"))).toBe("accepted");
  });

  it("stay in their storage class", async () => {
    const inClass = (storageClassName: string): object =>
      resource("VirtualDisk", "d", { persistentVolumeClaim: { size: "1Gi", storageClassName } });
    const status = { ...ready(), storageClassName: "fast" };
    const message = "storage class cannot be changed, because volume migration is not supported";
    expect(await answerToChange(inClass("fast"), inClass("slow"), status)).toContain(message);
    expect(await answerToChange(blankDisk("d"), inClass("fast"), status)).not.toContain(message);
  });

  it("are as they are when they go", async () => {
    await using world = await World.open();
    await put(world, { ...size("1Gi"), metadata: { name: "d", finalizers: ["test/hold"] } });
    await world.platform.virtualDisks.delete("d");
    await expect(world.apply(size("2Gi"))).rejects.toThrow(
      "spec: spec cannot be changed if the VirtualDisk is in the process of termination",
    );
  });

  it("smaller than their image are warned of", async () => {
    await using world = await World.open();
    await put(world, IMAGE, {
      phase: "Ready",
      size: { unpacked: "2Gi", unpackedBytes: String(2 * 2 ** 30) },
      ...OBSERVED,
    });
    const disk = resource("VirtualDisk", "d", {
      dataSource: { type: "ObjectRef", objectRef: { kind: "VirtualImage", name: "ubuntu" } },
      persistentVolumeClaim: { size: "1Gi" },
    });
    const [applied] = await world.platform.apply([disk]);
    expect(applied?.warnings).toEqual([
      'spec.persistentVolumeClaim.size: 1Gi is less than the 2Gi that the content of VirtualImage "ubuntu" takes: the disk cannot become Ready',
    ]);
  });
});

describe("classes", () => {
  it.each<[object[], string]>([
    [
      [{ cores: { min: 1, max: 4 } }, { cores: { min: 4, max: 8 } }],
      "vmclass small has size policy cpu crosses",
    ],
    [
      [{ cores: { min: 1, max: 8 } }, { cores: { min: 2, max: 4 } }],
      "vmclass small has size policy cpu crosses",
    ],
    [
      [{ cores: { min: 1, max: 4 }, coreFractions: ["5%"], defaultCoreFraction: "10%" }],
      "the default core fraction 10% is not among the allowed core fractions: choose one of 5%",
    ],
    [[{ coreFractions: ["5%"] }], "spec.sizingPolicies[0].cores: is missing (object)"],
  ])("with the policies %j are refused", async (sizingPolicies, message) => {
    const vmClass = resource("VirtualMachineClass", "small", {
      cpu: { type: "Host" },
      sizingPolicies,
    });
    expect(await answer(vmClass)).toContain(message);
  });
});

describe("what cannot change", () => {
  const storageClass = (more: object): object => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "fast" },
    provisioner: "san",
    ...more,
  });

  it("is a storage class besides its annotations", async () => {
    const changed = storageClass({ provisioner: "other", allowVolumeExpansion: true });
    expect(await answerToChange(storageClass({}), changed)).toBe(
      'StorageClass "fast" is invalid: provisioner: updates to provisioner are forbidden: create another StorageClass',
    );
    expect(
      await answerToChange(storageClass({}), storageClass({ allowVolumeExpansion: true })),
    ).toBe("accepted");
  });

  it("is an image that is Ready", async () => {
    const pvc = {
      ...IMAGE,
      spec: { ...(IMAGE as { spec: object }).spec, storage: "PersistentVolumeClaim" },
    };
    expect(await answerToChange(IMAGE, pvc, { phase: "Ready", ...OBSERVED, time: NOW })).toContain(
      "storage class cannot be changed if the VirtualImage has already been provisioned",
    );
  });
});
