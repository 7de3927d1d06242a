import { expectTypeOf, test } from "vitest";
import type { ManifestOf, Platform, ResourceClient, VirtualMachine } from "@polyvisor/core";

declare const platform: Platform;

const spec = {
  virtualMachineClassName: "generic",
  cpu: { cores: 1 },
  memory: { size: "1Gi" },
  blockDeviceRefs: [{ kind: "VirtualDisk", name: "disk" }],
} as const;
const metadata = { name: "vm" };

test("clients are typed by their kinds", () => {
  expectTypeOf(platform.virtualMachines.get("vm")).resolves.toEqualTypeOf<VirtualMachine>();
  expectTypeOf(platform.client("VirtualDisk")).toEqualTypeOf<ResourceClient<"VirtualDisk">>();
});

test("what has a default may be left out of a manifest, and nothing else", () => {
  const { memory: _, ...withoutMemory } = spec;
  const complete = { metadata, spec };
  const incomplete = { metadata, spec: withoutMemory };
  const wrong = { metadata, spec: { ...spec, runPolicy: "Sometimes" as const } };
  expectTypeOf(complete).toExtend<ManifestOf<"VirtualMachine">>();
  expectTypeOf(incomplete).not.toExtend<ManifestOf<"VirtualMachine">>();
  expectTypeOf(wrong).not.toExtend<ManifestOf<"VirtualMachine">>();
});
