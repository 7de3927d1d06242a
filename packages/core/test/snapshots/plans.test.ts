import { describe, expect, it } from "vitest";
import { type CloneInputs, planClone } from "../../src/snapshots/clone-plan.ts";
import {
  decodeContent,
  encodeContent,
  type MachineSnapshotContent,
} from "../../src/snapshots/machine-snapshot-content.ts";
import { planRestore, type RestoreInputs } from "../../src/snapshots/restore-plan.ts";
import type { ExistingObjects, SnapshotPlan } from "../../src/snapshots/snapshot-plan.ts";

const CONTENT: MachineSnapshotContent = {
  virtualMachine: {
    name: "linux",
    labels: { app: "web" },
    annotations: { note: "as it was" },
    spec: {
      runPolicy: "AlwaysOn",
      blockDeviceRefs: [
        { kind: "VirtualDisk", name: "root" },
        { kind: "ClusterVirtualImage", name: "tools" },
      ],
      networks: [{ type: "Main" }, { type: "Network", virtualMachineMACAddressName: "mac" }],
      provisioning: { type: "UserDataRef", userDataRef: { kind: "Secret", name: "init" } },
    },
  },
  virtualDisks: [
    {
      name: "root",
      labels: { tier: "gold" },
      annotations: { mode: "Block" },
      spec: { persistentVolumeClaim: { size: "10Gi", storageClassName: "r2" } },
      snapshotName: "root-snapshot",
    },
  ],
  ipAddress: { name: "linux-7prpx", spec: { type: "Auto" }, address: "10.66.10.14" },
  macAddresses: [{ name: "mac", spec: {}, address: "5a:00:00:00:00:01" }],
  secret: { name: "init", type: "provisioning", data: { userData: "eA==" } },
  attachments: [
    {
      name: "attach",
      spec: {
        virtualMachineName: "linux",
        blockDeviceRef: { kind: "VirtualImage", name: "iso" },
      },
    },
  ],
};

/** Everything of the machine, as it is when its snapshot has just been taken. */
const NAMES = [
  "VirtualMachine/linux",
  "VirtualDisk/root",
  "VirtualDiskSnapshot/root-snapshot",
  "VirtualMachineIPAddress/linux-7prpx",
  "VirtualMachineMACAddress/mac",
  "Secret/init",
  "VirtualMachineBlockDeviceAttachment/attach",
  "ClusterVirtualImage/tools",
  "VirtualImage/iso",
];

function existing(
  more: Partial<ExistingObjects> & { readonly without?: readonly string[] } = {},
): ExistingObjects {
  const { without = [], ...rest } = more;
  return {
    names: new Set(NAMES.filter((name) => !without.includes(name))),
    attachedTo: new Map(),
    addresses: new Map([
      ["VirtualMachineIPAddress/linux-7prpx", "10.66.10.14"],
      ["VirtualMachineMACAddress/mac", "5a:00:00:00:00:01"],
    ]),
    secrets: new Map([["init", { type: "provisioning", data: { userData: "eA==" } }]]),
    ...rest,
  };
}

function restore(inputs: Partial<RestoreInputs> = {}): SnapshotPlan {
  return planRestore({
    content: CONTENT,
    keepIPAddress: "Always",
    mode: "Strict",
    existing: existing(),
    ...inputs,
  });
}

function actions({ objects }: SnapshotPlan): string[] {
  return objects.map(({ action, kind, name }) => `${action} ${kind}/${name}`);
}

function problems({ objects }: SnapshotPlan): string[] {
  return objects.flatMap(({ problem }) => problem ?? []);
}

function manifest(plan: SnapshotPlan, kind: string): Record<string, unknown> | undefined {
  return plan.objects.find((object) => object.kind === kind)?.manifest.spec;
}

const named = (spec: object): MachineSnapshotContent => ({
  ...CONTENT,
  virtualMachine: {
    ...CONTENT.virtualMachine,
    spec: { ...CONTENT.virtualMachine.spec, virtualMachineIPAddressName: "linux-7prpx" },
  },
  ipAddress: { name: "linux-7prpx", spec: { ...spec }, address: "10.66.10.14" },
});

describe("what a snapshot keeps", () => {
  it("is read back as it was written", () => {
    expect(decodeContent(encodeContent(CONTENT))).toEqual(CONTENT);
  });

  it.each([
    [{}],
    [{ "content.json": "no base64 of JSON" }],
    [{ "content.json": Buffer.from('{"virtualMachine":{}}').toString("base64") }],
  ])("is not read from %j", (data) => {
    expect(decodeContent(data)).toBeUndefined();
  });
});

describe("planRestore", () => {
  it("brings everything back, in order", () => {
    const plan = restore();
    expect(plan.feasible).toBe(true);
    expect(actions(plan)).toEqual([
      "keep Secret/init",
      "update VirtualMachineIPAddress/linux-7prpx",
      "update VirtualMachineMACAddress/mac",
      "replace VirtualDisk/root",
      "update VirtualMachine/linux",
      "replace VirtualMachineBlockDeviceAttachment/attach",
    ]);
    expect(manifest(plan, "VirtualDisk")).toEqual({
      persistentVolumeClaim: { size: "10Gi", storageClassName: "r2" },
      dataSource: {
        type: "ObjectRef",
        objectRef: { kind: "VirtualDiskSnapshot", name: "root-snapshot" },
      },
    });
    const vm = plan.objects.find(({ kind }) => kind === "VirtualMachine")?.manifest;
    expect(vm).toMatchObject({ labels: { app: "web" }, annotations: { note: "as it was" } });
  });

  it("makes what is gone", () => {
    const gone = NAMES.filter((name) => !name.startsWith("VirtualDiskSnapshot"));
    const plan = restore({ existing: existing({ without: gone, secrets: new Map() }) });
    expect(plan.feasible).toBe(true);
    expect(actions(plan).map((line) => line.split(" ")[0])).toEqual([
      "create",
      "create",
      "create",
      "create",
      "update",
      "create",
    ]);
  });

  // Source: DVP, keepIPAddress.
  it.each<[string, Partial<RestoreInputs>, object | undefined, string | undefined]>([
    [
      "Always, Auto: pinned to what it was",
      {},
      { type: "Static", staticIP: "10.66.10.14" },
      "linux-7prpx",
    ],
    ["Never, Auto, not named: another", { keepIPAddress: "Never" }, undefined, undefined],
    [
      "Never, Auto, named: another under the old name",
      { keepIPAddress: "Never", content: named({ type: "Auto" }) },
      { type: "Auto" },
      "linux-7prpx",
    ],
    [
      "Never, Static: kept",
      { keepIPAddress: "Never", content: named({ type: "Static", staticIP: "10.66.10.14" }) },
      { type: "Static", staticIP: "10.66.10.14" },
      "linux-7prpx",
    ],
  ])("%s", (_, inputs, address, name) => {
    const plan = restore(inputs);
    expect(plan.feasible).toBe(true);
    expect(manifest(plan, "VirtualMachineIPAddress")).toEqual(address);
    expect(manifest(plan, "VirtualMachine")?.["virtualMachineIPAddressName"]).toBe(name);
  });

  it.each<[string, Partial<RestoreInputs>, string]>([
    [
      "a disk that another VM has",
      { existing: existing({ attachedTo: new Map([["VirtualDisk/root", "other"]]) }) },
      'VirtualDisk "root" is attached to different VirtualMachine "other": stop that VM or remove it there',
    ],
    [
      "an address that another VM has",
      {
        existing: existing({
          attachedTo: new Map([["VirtualMachineIPAddress/linux-7prpx", "other"]]),
        }),
      },
      'VirtualMachineIPAddress "linux-7prpx" is attached to different VirtualMachine "other": stop that VM or remove it there',
    ],
    [
      "a MAC address that another VM has",
      { existing: existing({ attachedTo: new Map([["VirtualMachineMACAddress/mac", "other"]]) }) },
      'VirtualMachineMACAddress "mac" is attached to different VirtualMachine "other": stop that VM or remove it there',
    ],
    [
      "an address that is another one now",
      {
        existing: existing({
          addresses: new Map([
            ["VirtualMachineIPAddress/linux-7prpx", "10.66.10.15"],
            ["VirtualMachineMACAddress/mac", "5a:00:00:00:00:01"],
          ]),
        }),
      },
      'VirtualMachineIPAddress "linux-7prpx" has the address 10.66.10.15 and not 10.66.10.14: delete it first',
    ],
    [
      "a snapshot that is gone",
      { existing: existing({ without: ["VirtualDiskSnapshot/root-snapshot"] }) },
      'VirtualDiskSnapshot "root-snapshot" does not exist or is not Ready: the content of the disk is lost',
    ],
    [
      "a secret with another content",
      { existing: existing({ secrets: new Map([["init", { type: "provisioning", data: {} }]]) }) },
      'Secret "init" has another content than in the snapshot: delete it, or use the mode BestEffort to keep it as it is',
    ],
  ])("refuses %s", (_, inputs, problem) => {
    const plan = restore(inputs);
    expect(plan.feasible).toBe(false);
    expect(problems(plan)).toEqual([problem]);
    const bestEffort = restore({ ...inputs, mode: "BestEffort" });
    expect(problems(bestEffort)).toEqual(problem.startsWith("Secret") ? [] : [problem]);
  });

  it("keeps images that are missing when it is strict, and drops them when it is not", () => {
    const without = ["ClusterVirtualImage/tools", "VirtualImage/iso"];
    const refs = (mode: RestoreInputs["mode"]): unknown =>
      manifest(restore({ mode, existing: existing({ without }) }), "VirtualMachine")?.[
        "blockDeviceRefs"
      ];
    expect(refs("Strict")).toHaveLength(2);
    expect(refs("DryRun")).toHaveLength(2);
    expect(refs("BestEffort")).toEqual([{ kind: "VirtualDisk", name: "root" }]);
    const plan = restore({ mode: "BestEffort", existing: existing({ without }) });
    expect(actions(plan)).toHaveLength(5);
  });
});

describe("planClone", () => {
  function clone(inputs: Partial<CloneInputs> = {}): SnapshotPlan {
    return planClone({
      content: CONTENT,
      rules: { customization: { namePrefix: "copy-" } },
      mode: "Strict",
      existing: existing(),
      ...inputs,
    });
  }

  it("makes everything under new names, with addresses of its own and without labels", () => {
    const plan = clone({ content: named({ type: "Static", staticIP: "10.66.10.14" }) });
    expect(plan.feasible).toBe(true);
    expect(actions(plan)).toEqual([
      "create Secret/copy-init",
      "create VirtualMachineIPAddress/copy-linux-7prpx",
      "create VirtualMachineMACAddress/copy-mac",
      "create VirtualDisk/copy-root",
      "create VirtualMachine/copy-linux",
      "create VirtualMachineBlockDeviceAttachment/copy-attach",
    ]);
    expect(manifest(plan, "VirtualMachineIPAddress")).toEqual({ type: "Auto" });
    expect(manifest(plan, "VirtualMachineMACAddress")).toEqual({});
    expect(manifest(plan, "VirtualMachine")).toEqual({
      runPolicy: "AlwaysOn",
      blockDeviceRefs: [
        { kind: "VirtualDisk", name: "copy-root" },
        { kind: "ClusterVirtualImage", name: "tools" },
      ],
      virtualMachineIPAddressName: "copy-linux-7prpx",
      networks: [{ type: "Main" }, { type: "Network", virtualMachineMACAddressName: "copy-mac" }],
      provisioning: { type: "UserDataRef", userDataRef: { kind: "Secret", name: "copy-init" } },
    });
    expect(manifest(plan, "VirtualMachineBlockDeviceAttachment")).toEqual({
      virtualMachineName: "copy-linux",
      blockDeviceRef: { kind: "VirtualImage", name: "iso" },
    });
    const described = plan.objects.filter(({ manifest: { labels } }) => labels !== undefined);
    expect(described).toEqual([]);
  });

  it("gives a new address to a machine that named none", () => {
    expect(actions(clone()).filter((line) => line.includes("IPAddress"))).toEqual([]);
  });

  it("tells every name that is taken", () => {
    const rules = {
      nameReplacement: [{ from: { kind: "VirtualMachine", name: "linux" }, to: "copy" }],
    };
    expect(problems(clone({ rules, mode: "BestEffort" }))).toEqual([
      "VirtualMachineMACAddress with name mac already exists",
      "VirtualDisk with name root already exists",
      "VirtualMachineBlockDeviceAttachment with name attach already exists",
    ]);
  });

  it("shares a secret with the same content, and no other", () => {
    const rules = {
      customization: { nameSuffix: "-2" },
      nameReplacement: [{ from: { kind: "Secret", name: "init" }, to: "init" }],
    };
    expect(actions(clone({ rules }))[0]).toBe("keep Secret/init");
    const secrets = new Map([["init", { type: "provisioning", data: { userData: "eQ==" } }]]);
    expect(problems(clone({ rules, existing: existing({ secrets }) }))).toEqual([
      "Secret with name init already exists",
    ]);
  });

  it("refuses names that are too long", () => {
    const rules = { customization: { nameSuffix: "x".repeat(59) } };
    expect(problems(clone({ rules }))[0]).toContain(
      "is too long: it must be no more than 63 characters",
    );
  });

  it("drops images that are missing only when it may", () => {
    const without = ["ClusterVirtualImage/tools"];
    const count = (mode: CloneInputs["mode"]): unknown[] =>
      manifest(clone({ mode, existing: existing({ without }) }), "VirtualMachine")?.[
        "blockDeviceRefs"
      ] as unknown[];
    expect(count("Strict")).toHaveLength(2);
    expect(count("BestEffort")).toHaveLength(1);
  });
});
