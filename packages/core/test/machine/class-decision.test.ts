import type { VirtualMachineClass } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { type ClassNode, decideClass } from "../../src/machine/class-decision.ts";
import {
  cpuMoveProblem,
  cpuProblem,
  guestCpuModel,
  type HostCpu,
} from "../../src/machine/cpu-fit.ts";

type Spec = VirtualMachineClass["spec"];
type Status = NonNullable<VirtualMachineClass["status"]>;

function cpu(features: string, more: Partial<NonNullable<HostCpu>> = {}): HostCpu {
  return {
    vendor: "Intel",
    model: "X",
    models: ["Nehalem"],
    features: features.split(" "),
    ...more,
  };
}

function node(name: string, group: string, features: string): ClassNode {
  return { name, labels: { group }, cpu: cpu(features), cpus: 8, memoryBytes: 2 ** 34 };
}

/** The four nodes of the administrator guide, "Example of a VirtualMachineClass". */
const GUIDE: readonly ClassNode[] = [
  node("blue-1", "blue", "a b c"),
  node("blue-2", "blue", "a b c"),
  { ...node("green-1", "green", "a b c d"), cpus: 16 },
  { ...node("green-2", "green", "a b c d"), memoryBytes: 2 ** 35 },
];

function inGroup(...values: string[]): Spec["nodeSelector"] & object {
  return { matchExpressions: [{ key: "group", operator: "In", values }] };
}

function decide(spec: Spec, nodes = GUIDE, enabled?: string[]): ReturnType<typeof decideClass> {
  const status = enabled && ({ cpuFeatures: { enabled } } as unknown as Status);
  return decideClass({ spec, ...(status && { status }) }, nodes);
}

describe("a class that discovers its CPU", () => {
  it.each<[string, Spec, string[], string[]]>([
    [
      "universal",
      { cpu: { type: "Discovery", discovery: {} } },
      ["a", "b", "c"],
      ["blue-1", "blue-2", "green-1", "green-2"],
    ],
    [
      "cpuX, where only the placement is restricted",
      { cpu: { type: "Discovery", discovery: {} }, nodeSelector: inGroup("blue") },
      ["a", "b", "c"],
      ["blue-1", "blue-2"],
    ],
    [
      "cpuY",
      { cpu: { type: "Discovery", discovery: { nodeSelector: inGroup("green") } } },
      ["a", "b", "c", "d"],
      ["green-1", "green-2"],
    ],
  ])("as %s of the guide", (_, spec, enabled, availableNodes) => {
    expect(decide(spec)).toMatchObject({
      phase: "Ready",
      cpuFeatures: { enabled },
      availableNodes,
      conditions: [
        { type: "Ready", status: "True", reason: "SuitableNodesFound" },
        { type: "Discovered", status: "True", reason: "DiscoverySucceeded" },
      ],
    });
  });

  it("keeps what was discovered, and only the nodes follow", () => {
    const spec: Spec = { cpu: { type: "Discovery" } };
    expect(decide(spec, GUIDE, ["a", "b", "c", "d"])).toMatchObject({
      cpuFeatures: { enabled: ["a", "b", "c", "d"], notEnabledCommon: [] },
      availableNodes: ["green-1", "green-2"],
    });
    expect(decide(spec, GUIDE, ["a"])).toMatchObject({
      cpuFeatures: { enabled: ["a"], notEnabledCommon: ["b", "c"] },
      availableNodes: ["blue-1", "blue-2", "green-1", "green-2"],
    });
  });

  it.each<[string, readonly ClassNode[], string[] | undefined, string, string]>([
    [
      "no node",
      [],
      undefined,
      "NoCpuFeaturesEnabled",
      "No nodes match the discovery nodeSelector, can't discover common CPU features.",
    ],
    [
      "nothing in common",
      [node("x", "blue", "a"), node("y", "blue", "b")],
      undefined,
      "NoCpuFeaturesEnabled",
      "No common CPU features are discovered across discovery nodes.",
    ],
    [
      "no node left that has all",
      GUIDE,
      ["a", "z"],
      "NoSuitableNodesFound",
      "No available nodes expose all discovered CPU features.",
    ],
  ])("waits with %s", (_, nodes, enabled, reason, message) => {
    const decision = decide({ cpu: { type: "Discovery" } }, nodes, enabled);
    expect(decision).toMatchObject({
      phase: "Pending",
      availableNodes: [],
      conditions: [{ type: "Ready", status: "False", reason, message }, { type: "Discovered" }],
    });
  });

  it("does not count nodes that do not say what they have", () => {
    const silent = { ...node("silent", "blue", ""), cpu: undefined };
    expect(decide({ cpu: { type: "Discovery" } }, [...GUIDE, silent]).cpuFeatures?.enabled).toEqual(
      ["a", "b", "c"],
    );
  });
});

describe("a class of another type", () => {
  it.each<[Spec, string, string[]]>([
    [{ cpu: { type: "Host" } }, "Ready", ["blue-1", "blue-2", "green-1", "green-2"]],
    [{ cpu: { type: "Host" }, nodeSelector: inGroup("red") }, "Ready", []],
    [
      { cpu: { type: "HostPassthrough" }, nodeSelector: inGroup("green") },
      "Ready",
      ["green-1", "green-2"],
    ],
    [
      { cpu: { type: "Model", model: "Nehalem" } },
      "Ready",
      ["blue-1", "blue-2", "green-1", "green-2"],
    ],
    [{ cpu: { type: "Model", model: "EPYC" } }, "Pending", []],
    [{ cpu: { type: "Features", features: ["d"] } }, "Ready", ["green-1", "green-2"]],
    [{ cpu: { type: "Features", features: ["vmx"] } }, "Pending", []],
  ])("%j is %s on %j", (spec, phase, availableNodes) => {
    expect(decide(spec)).toMatchObject({
      phase,
      availableNodes,
      conditions: [
        {
          status: phase === "Ready" ? "True" : "False",
          reason: availableNodes.length > 0 ? "SuitableNodesFound" : "NoSuitableNodesFound",
        },
        {
          type: "Discovered",
          status: "False",
          reason: "DiscoverySkip",
          message: `Discovery not needed for cpu.type "${spec.cpu.type}"`,
        },
      ],
    });
  });

  it("says what the largest of its nodes have", () => {
    expect(decide({ cpu: { type: "Host" } }).maxAllocatableResources).toEqual({
      cpu: "16",
      memory: "32Gi",
    });
    expect(decide({ cpu: { type: "Host" } }, []).maxAllocatableResources).toBeUndefined();
  });
});

describe("the CPU of guests", () => {
  it.each<[Spec["cpu"], string[], object]>([
    [{ type: "Host" }, [], { mode: "host-model" }],
    [{ type: "HostPassthrough" }, [], { mode: "host-passthrough" }],
    [{ type: "Model", model: "Nehalem" }, [], { mode: "model", model: "Nehalem" }],
    [{ type: "Features", features: ["vmx"] }, ["x"], { mode: "features", features: ["vmx"] }],
    [{ type: "Discovery" }, ["a", "b"], { mode: "features", features: ["a", "b"] }],
  ])("of %j", (spec, discovered, expected) => {
    expect(guestCpuModel(spec, discovered)).toEqual(expected);
  });

  const HOST = { mode: "host-model" } as const;
  const PASSTHROUGH = { mode: "host-passthrough" } as const;
  const MODEL = { mode: "model", model: "Nehalem" } as const;
  it.each<[object, HostCpu, string | undefined]>([
    [HOST, cpu("a"), undefined],
    [MODEL, cpu("a"), undefined],
    [MODEL, undefined, undefined],
    [{ mode: "model", model: "EPYC" }, cpu("a"), "has no CPU model EPYC"],
    [{ mode: "features", features: ["a", "b", "c"] }, cpu("a"), "has no CPU feature b, c"],
  ])("%j on %j: %s", (model, host, expected) => {
    expect(cpuProblem(model as never, host)).toBe(expected);
  });

  it.each<[object, HostCpu, HostCpu, string | undefined]>([
    [MODEL, cpu("a b"), cpu("a"), undefined],
    [{ mode: "features", features: ["b"] }, cpu("a b"), cpu("a"), "has no CPU feature b"],
    [HOST, cpu("a"), cpu("a b"), undefined],
    [HOST, cpu("a b"), cpu("a"), "has no CPU feature b, which the guest has got"],
    [
      HOST,
      cpu("a"),
      cpu("a", { vendor: "AMD", model: "EPYC" }),
      "has another CPU (AMD EPYC) than the guest runs on (Intel X)",
    ],
    [PASSTHROUGH, cpu("a b"), cpu("b a"), undefined],
    [
      PASSTHROUGH,
      cpu("a"),
      cpu("a b"),
      "has another CPU than the guest runs on, though both are Intel X",
    ],
    [
      PASSTHROUGH,
      cpu("a"),
      cpu("a", { model: "Y" }),
      "has another CPU (Intel Y) than the guest runs on (Intel X)",
    ],
    [PASSTHROUGH, undefined, cpu("a"), undefined],
  ])("%j moves from %j to %j: %s", (model, source, target, expected) => {
    expect(cpuMoveProblem(model as never, source, target)).toBe(expected);
  });
});
