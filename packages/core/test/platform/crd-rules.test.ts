import { describe, expect, it } from "vitest";
import { answer, answerToChange } from "../support/refusal.ts";

/**
 * Every validation rule of the DVP custom resource definitions, with a manifest that breaks it and the message.
 */

const API = "virtualization.deckhouse.io/v1alpha2";

function resource(kind: string, spec: object, apiVersion = API): object {
  return { apiVersion, kind, metadata: { name: "x" }, spec };
}

function vm(spec: object): object {
  return resource("VirtualMachine", {
    virtualMachineClassName: "host",
    cpu: { cores: 1 },
    memory: { size: "1Gi" },
    blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
    ...spec,
  });
}

function vmClass(spec: object, apiVersion = API): object {
  return resource("VirtualMachineClass", { cpu: { type: "Host" }, ...spec }, apiVersion);
}

function vmop(spec: object): object {
  return resource("VirtualMachineOperation", { virtualMachineName: "vm", ...spec });
}

function pool(
  options: { vm?: object; disks?: readonly object[]; template?: object; reclaim?: object } = {},
): object {
  const template = { name: "root", spec: { persistentVolumeClaim: { size: "1Gi" } } };
  const reclaim = options.reclaim && { reclaim: options.reclaim };
  return resource("VirtualMachinePool", {
    replicas: 1,
    scaleDownPolicy: "NewestFirst",
    virtualDiskTemplates: options.disks ?? [{ ...template, ...reclaim, ...options.template }],
    virtualMachineTemplate: {
      spec: {
        virtualMachineClassName: "host",
        cpu: { cores: 1 },
        memory: { size: "1Gi" },
        blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
        ...options.vm,
      },
    },
  });
}

const HTTP = { http: { url: "https://images.example/a.qcow2" } };
const CONTAINER = { containerImage: { image: "registry.example/disk:1" } };
const REF = { objectRef: { kind: "ClusterVirtualImage", name: "other" } };
const UPLOAD = { upload: {} };

const SOURCES: readonly (readonly [object, string])[] = [
  [{ type: "HTTP" }, "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload."],
  [
    { type: "HTTP", ...HTTP, ...REF },
    "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload.",
  ],
  [
    { type: "ContainerImage", ...HTTP },
    "ContainerImage requires containerImage and cannot have HTTP, ObjectRef or Upload.",
  ],
  [
    { type: "ContainerImage", ...CONTAINER, ...UPLOAD },
    "ContainerImage requires containerImage and cannot have HTTP, ObjectRef or Upload.",
  ],
  [
    { type: "ObjectRef" },
    "ObjectRef requires objectRef and cannot have HTTP, ContainerImage or Upload.",
  ],
  [
    { type: "ObjectRef", ...REF, ...HTTP },
    "ObjectRef requires objectRef and cannot have HTTP, ContainerImage or Upload.",
  ],
  [{ type: "Upload", ...HTTP }, "Upload cannot have HTTP, ContainerImage or ObjectRef."],
  [{ type: "Upload", ...CONTAINER }, "Upload cannot have HTTP, ContainerImage or ObjectRef."],
];

const NAMING: readonly (readonly [object, string])[] = [
  [
    { mode: "Strict" },
    "At least one of customization.namePrefix, customization.nameSuffix, or nameReplacement must be set",
  ],
  [
    { mode: "Strict", customization: { namePrefix: "", nameSuffix: "" } },
    "At least one of customization.namePrefix, customization.nameSuffix, or nameReplacement must be set",
  ],
  [
    { mode: "Strict", customization: { namePrefix: "x".repeat(60) } },
    "namePrefix length must be between 1 and 59 characters if set",
  ],
  [
    { mode: "Strict", customization: { nameSuffix: "x".repeat(60) } },
    "nameSuffix length must be between 1 and 59 characters if set",
  ],
  [
    { mode: "Strict", nameReplacement: [{ from: { name: "a" }, to: "x".repeat(60) }] },
    "Each nameReplacement.to must be between 1 and 59 characters",
  ],
];

const DISK = { kind: "VirtualDisk", name: "root" };
const manyDisks = Array.from({ length: 5 }, (_, index) => ({ ...DISK, name: `d${index}` }));
const USER_DATA = { type: "UserData", userData: "#cloud-config" };
const SECRET = { kind: "Secret", name: "s" };

const LEGACY: readonly (readonly [object, string])[] = [
  [{ osType: "Legacy", bootloader: "EFI" }, "The Legacy osType requires the BIOS bootloader."],
  [
    { osType: "Legacy", provisioning: USER_DATA },
    "The Legacy osType does not support provisioning: such operating systems have no cloud-init or Sysprep support.",
  ],
  [
    { osType: "Legacy", enableParavirtualization: false, blockDeviceRefs: manyDisks },
    "The Legacy osType with enableParavirtualization=false supports at most 4 block devices.",
  ],
];

const PROVISIONING: readonly (readonly [object, string])[] = [
  [
    { provisioning: { ...USER_DATA, userDataRef: SECRET } },
    "UserData cannot have userDataRef or sysprepRef.",
  ],
  [
    { provisioning: { type: "UserDataRef", userDataRef: SECRET, userData: "x" } },
    "UserDataRef cannot have userData or sysprepRef.",
  ],
  [
    { provisioning: { type: "SysprepRef", sysprepRef: SECRET, userDataRef: SECRET } },
    "SysprepRef cannot have userData or userDataRef.",
  ],
];

const FRACTION = "Core fraction must be 'Auto' or a percentage between 1% and 100%.";
const CPU_TYPES: readonly (readonly [object, string])[] = [
  [
    { type: "Host", model: "x" },
    "HostPassthrough and Host cannot have model, features or discovery",
  ],
  [
    { type: "HostPassthrough", discovery: {} },
    "HostPassthrough and Host cannot have model, features or discovery",
  ],
  [{ type: "Discovery", features: ["x"] }, "Discovery cannot have model or features"],
  [{ type: "Discovery", model: "x" }, "Discovery cannot have model or features"],
  [{ type: "Model" }, "Model requires model and cannot have features or discovery"],
  [
    { type: "Model", model: "x", discovery: {} },
    "Model requires model and cannot have features or discovery",
  ],
  [{ type: "Features" }, "Features requires features and cannot have model or discovery"],
  [
    { type: "Features", features: ["x"], discovery: {} },
    "Features requires features and cannot have model or discovery",
  ],
];

const NAMESPACED_KINDS = ["VirtualImage", "VirtualDisk", "VirtualDiskSnapshot"];
const DEFAULT_FRACTION = "The default core fraction must be a number from 1 to 100, or 'Auto'.";

const BROKEN: readonly (readonly [object, string])[] = [
  ...["VirtualDisk", "VirtualImage", "ClusterVirtualImage"].flatMap((kind) =>
    SOURCES.map(([dataSource, message]) => [resource(kind, { dataSource }), message] as const),
  ),
  ...SOURCES.map(
    ([dataSource, message]) => [pool({ template: { spec: { dataSource } } }), message] as const,
  ),
  ...["0%", "101%", "5", "Maybe"].map(
    (coreFraction) => [vm({ cpu: { cores: 1, coreFraction } }), FRACTION] as const,
  ),
  ...[...LEGACY, ...PROVISIONING].flatMap(([spec, message]) => [
    [vm(spec), message] as const,
    [pool({ vm: spec }), message] as const,
  ]),
  [
    vm({ provisioning: { type: "UserData", userData: "x".repeat(2049) } }),
    "`userData` exceeds 2048 byte limit; should use `userDataRef` for larger data.",
  ],
  ...CPU_TYPES.map(([cpu, message]) => [vmClass({ cpu }), message] as const),
  ...[
    { min: 4, max: 4 },
    { min: 5, max: 4 },
  ].map(
    (cores) =>
      [
        vmClass({ sizingPolicies: [{ cores }] }),
        "The maximum must be greater than the minimum",
      ] as const,
  ),
  [
    vmClass({ sizingPolicies: [{ cores: { min: 1, max: 4, step: 4 } }] }),
    "The maximum must be greater than the step",
  ],
  ...[0, 101, "none", "150%"].map(
    (defaultCoreFraction) =>
      [
        vmClass({ sizingPolicies: [{ cores: { min: 1, max: 4 }, defaultCoreFraction }] }),
        DEFAULT_FRACTION,
      ] as const,
  ),
  ...NAMESPACED_KINDS.flatMap((kind) => {
    const image = (objectRef: object): object =>
      resource("ClusterVirtualImage", { dataSource: { type: "ObjectRef", objectRef } });
    return [
      [
        image({ kind, name: "a" }),
        "The namespace is required for VirtualDisk, VirtualImage and VirtualDiskSnapshot",
      ] as const,
      [
        image({ kind, name: "a", namespace: "x".repeat(64) }),
        "The namespace must be no longer than 63 characters.",
      ] as const,
    ];
  }),
  [vmop({ type: "Start", force: true }), "The `Start` operation cannot be performed forcibly."],
  [vmop({ type: "Restore" }), "Restore requires restore field."],
  [vmop({ type: "Clone" }), "Clone requires clone field."],
  [
    vmop({ type: "Evict", migrate: { nodeSelector: {} } }),
    "spec.migrate can only be set when spec.type is 'Migrate'",
  ],
  ...NAMING.flatMap(([naming, message]) => [
    [vmop({ type: "Clone", clone: naming }), message] as const,
    [
      resource("VirtualMachineSnapshotOperation", {
        type: "CreateVirtualMachine",
        virtualMachineSnapshotName: "s",
        createVirtualMachine: naming,
      }),
      message,
    ] as const,
  ]),
  [
    resource("VirtualMachineSnapshotOperation", {
      type: "CreateVirtualMachine",
      virtualMachineSnapshotName: "s",
    }),
    "CreateVirtualMachine requires createVirtualMachine field.",
  ],
  [
    pool({ vm: { blockDeviceRefs: [{ kind: "ClusterVirtualImage", name: "iso" }] } }),
    "each virtualDiskTemplates entry must be referenced by a VirtualDisk entry in virtualMachineTemplate.spec.blockDeviceRefs",
  ],
  [
    pool({ vm: { blockDeviceRefs: [DISK, { ...DISK, name: "other" }] } }),
    "each VirtualDisk reference in virtualMachineTemplate.spec.blockDeviceRefs must name a virtualDiskTemplates entry",
  ],
  [
    pool({ vm: { blockDeviceRefs: [DISK, DISK] } }),
    "each virtualDiskTemplates entry must be referenced exactly once (no duplicate VirtualDisk references)",
  ],
  [
    pool({ vm: { osType: "Legacy" } }),
    "The Legacy osType is not supported in a VirtualMachinePool: replicas of such a pool cannot be told apart, because provisioning is unavailable for these operating systems.",
  ],
  [pool({ reclaim: { keep: 1 } }), "keep and ttl are only valid with onScaleDown: Retain"],
  [pool({ reclaim: { ttl: "5m" } }), "keep and ttl are only valid with onScaleDown: Retain"],
  [
    pool({ reclaim: { onScaleDown: "Retain", keep: 1 } }),
    "keep requires ttl; without ttl free disks are never garbage-collected, so keep would have no effect",
  ],
];

describe("a rule of the custom resource definitions refuses", () => {
  it.each(BROKEN)("%j", async (manifest, message) => {
    expect(await answer(manifest)).toContain(`: ${message}`);
  });
});

const SNAPSHOT = { virtualMachineSnapshotName: "s", type: "CreateVirtualMachine" };
const PREFIX = { mode: "Strict", customization: { namePrefix: "copy-" } };

const CHANGED: readonly (readonly [object, object, string])[] = [
  [
    vmClass({ cpu: { type: "Host" } }),
    vmClass({ cpu: { type: "HostPassthrough" } }),
    ".spec.cpu is immutable",
  ],
  [vmop({ type: "Stop" }), vmop({ type: "Stop", force: true }), ".spec is immutable"],
  [
    resource("VirtualMachineSnapshotOperation", { ...SNAPSHOT, createVirtualMachine: PREFIX }),
    resource("VirtualMachineSnapshotOperation", {
      ...SNAPSHOT,
      createVirtualMachine: { ...PREFIX, mode: "DryRun" },
    }),
    ".spec is immutable",
  ],
  ...(
    [
      ["VirtualDiskSnapshot", { virtualDiskName: "a" }, { virtualDiskName: "b" }],
      ["VirtualMachineSnapshot", { virtualMachineName: "a" }, { virtualMachineName: "b" }],
      [
        "VirtualMachineBlockDeviceAttachment",
        { virtualMachineName: "a", blockDeviceRef: DISK },
        { virtualMachineName: "b", blockDeviceRef: DISK },
      ],
    ] as const
  ).map(
    ([kind, before, after]) =>
      [
        resource(kind, before),
        resource(kind, after),
        `${kind} is an idempotent resource: specification changes are not available`,
      ] as const,
  ),
];

describe("a rule about changes refuses", () => {
  it.each(CHANGED)("%j", async (before, after, message) => {
    expect(await answerToChange(before, after)).toContain(message);
  });

  it.each(CHANGED)("nothing of what stays the same: %j", async (before) => {
    const said = await answerToChange(before, before);
    expect(said).not.toContain("immutable");
    expect(said).not.toContain("idempotent");
  });
});
