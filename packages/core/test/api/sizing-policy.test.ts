import { describe, expect, it } from "vitest";
import {
  defaultCoreFraction,
  type MachineSize,
  type SizingPolicy,
  sizingPolicyProblems,
  sizingProblem,
} from "../../src/api/sizing-policy.ts";

/** The policies of the administrator guide, "Other configuration options". */
const GUIDE: readonly SizingPolicy[] = [
  {
    cores: { min: 1, max: 4 },
    memory: { min: "1Gi", max: "8Gi", step: "512Mi" },
    coreFractions: ["5%", "10%", "20%", "50%", "100%"],
  },
  {
    cores: { min: 5, max: 8 },
    memory: { min: "5Gi", max: "16Gi", step: "1Gi" },
    coreFractions: ["20%", "50%", "100%"],
  },
  {
    cores: { min: 9, max: 16 },
    memory: { min: "9Gi", max: "32Gi", step: "1Gi" },
    coreFractions: ["50%", "100%"],
  },
  {
    cores: { min: 17, max: 1024 },
    memory: { perCore: { min: "1Gi", max: "2Gi" } },
    coreFractions: ["100%"],
  },
];

const HINT =
  "check the sizing policy of the VirtualMachineClass or contact the administrator for more information";
const WRONG = 'does not match the sizing policy of VirtualMachineClass "discovery"';

function problem(
  [cores, memorySize, coreFraction = "100%"]: [number, string, string?],
  policies: readonly SizingPolicy[] | undefined = GUIDE,
): string | undefined {
  const size: MachineSize = { cores, memorySize, coreFraction };
  return sizingProblem("discovery", policies, size);
}

describe("sizingProblem", () => {
  it.each<[number, string, string]>([
    [1, "1Gi", "5%"],
    [4, "1536Mi", "10%"],
    [4, "8Gi", "100%"],
    [5, "5Gi", "20%"],
    [8, "16Gi", "50%"],
    [16, "32Gi", "50%"],
    [17, "17Gi", "100%"],
    [20, "40Gi", "100%"],
    [1024, "1500Gi", "100%"],
  ])("allows %d cores with %s and %s", (...size) => {
    expect(problem(size)).toBeUndefined();
  });

  it.each<[[number, string, string?], string]>([
    [
      [3, "1Gi", "30%"],
      'the CPU core fraction "30%" is not allowed; set the core fraction (spec.cpu.coreFraction) to one of: 5%, 10%, 20%, 50%, 100%',
    ],
    [
      [4, "16Gi"],
      "the memory size (16Gi) is out of the range allowed by the sizing policy; set the memory size (spec.memory.size) between 1Gi and 8Gi",
    ],
    [
      [4, "512Mi"],
      "the memory size (512Mi) is out of the range allowed by the sizing policy; set the memory size (spec.memory.size) between 1Gi and 8Gi",
    ],
    [
      [4, "1800Mi"],
      "the memory size (1800Mi) does not match the sizing policy step; set the memory size (spec.memory.size) to 1536Mi or 2Gi",
    ],
    [
      [20, "60Gi"],
      "the memory size (60Gi) is not allowed for 20 CPU core(s); set the memory size (spec.memory.size) between 20Gi and 40Gi, or change the number of cores (spec.cpu.cores) (the sizing policy allows between 1Gi and 2Gi of memory per core)",
    ],
  ])("refuses %j", (size, reason) => {
    expect(problem(size)).toBe(`${WRONG}: ${reason}: ${HINT}`);
  });

  it("names every reason", () => {
    expect(problem([6, "4Gi", "10%"])).toBe(
      `${WRONG} for several reasons:
  - the CPU core fraction "10%" is not allowed; set the core fraction (spec.cpu.coreFraction) to one of: 20%, 50%, 100%
  - the memory size (4Gi) is out of the range allowed by the sizing policy; set the memory size (spec.memory.size) between 5Gi and 16Gi
${HINT}`,
    );
  });

  it("names the ranges when no policy is for so many cores", () => {
    expect(
      problem([7, "1Gi"], [{ cores: { min: 1, max: 4 } }, { cores: { min: 5, max: 6 } }]),
    ).toBe(
      'does not match any sizing policy of VirtualMachineClass "discovery": its 7 CPU core(s) fall outside the allowed ranges (1-4, 5-6); set the number of cores (spec.cpu.cores) accordingly',
    );
  });

  it.each<[number, string | undefined]>([
    [2, undefined],
    [3, "2 or 4"],
    [7, "6 or 8"],
    [9, "8 or 10"],
    [11, undefined],
  ])("of 2 to 11 cores in steps of 2, for %d names %s", (cores, nearest) => {
    const found = problem([cores, "1Gi"], [{ cores: { min: 2, max: 11, step: 2 } }]);
    expect(found).toBe(
      nearest &&
        `${WRONG}: the number of CPU cores (${cores}) does not match the sizing policy step; set the number of cores (spec.cpu.cores) to ${nearest}: ${HINT}`,
    );
  });

  it.each<[NonNullable<SizingPolicy["memory"]>, string, string | undefined]>([
    [{ min: "2Gi" }, "1Gi", "to at least 2Gi"],
    [{ max: "2Gi" }, "3Gi", "to at most 2Gi"],
    [{ step: "1Gi" }, "1500Mi", undefined],
    [{ max: "4Gi", step: "1Gi" }, "512Mi", "to 1Gi"],
    [{ min: "1Gi", max: "3.5Gi", step: "1Gi" }, "3200Mi", "to 3Gi or 3584Mi"],
    [{ min: "1Gi", max: "3.5Gi", step: "1Gi" }, "3.5Gi", undefined],
    [
      { perCore: { min: "1Gi" } },
      "1Gi",
      "to at least 2Gi, or change the number of cores (spec.cpu.cores) (the sizing policy allows at least 1Gi of memory per core)",
    ],
    [
      { perCore: { max: "1Gi" } },
      "3Gi",
      "to at most 2Gi, or change the number of cores (spec.cpu.cores) (the sizing policy allows at most 1Gi of memory per core)",
    ],
    [
      { step: "512Mi", perCore: { min: "1Gi", max: "2Gi" } },
      "2560Mi",
      "to 2Gi or 3Gi, or change the number of cores (spec.cpu.cores)",
    ],
    [{ step: "512Mi", perCore: { min: "1Gi", max: "2Gi" } }, "3Gi", undefined],
  ])("with memory %j and 2 cores, %s should be set %s", (memory, memorySize, ending) => {
    const found = problem([2, memorySize], [{ cores: { min: 1, max: 4 }, memory }]);
    expect(found?.slice(found.indexOf("spec.memory.size) ") + 18)).toBe(
      ending && `${ending}: ${HINT}`,
    );
  });

  it("lets a class without policies take everything", () => {
    expect([problem([7, "1Gi"], []), sizingProblem("x", undefined, SIZE)]).toEqual([
      undefined,
      undefined,
    ]);
  });
});

const SIZE: MachineSize = { cores: 99, coreFraction: "1%", memorySize: "1" };

describe("defaultCoreFraction", () => {
  const policy = { cores: { min: 1, max: 4 } };
  it.each<[string, readonly SizingPolicy[] | undefined, object]>([
    ["no policies", undefined, { coreFraction: "100%" }],
    ["no list", [policy], { coreFraction: "100%" }],
    ["an empty list", [{ ...policy, coreFractions: [] }], { coreFraction: "100%" }],
    ["a list with 100%", GUIDE, { coreFraction: "100%" }],
    [
      "a default",
      [{ ...policy, coreFractions: ["5%", "100%"], defaultCoreFraction: "5%" }],
      { coreFraction: "5%" },
    ],
    [
      "a list without 100%",
      [{ ...policy, coreFractions: ["5%", "10%"] }],
      {
        problem:
          'the default value for core fraction is not defined. For the specified configuration ".spec.cpu.cores 2", the following core fractions are allowed: [5%, 10%]. Please specify the ".spec.cpu.coreFraction" value and try again',
      },
    ],
    [
      "no policy for so many cores",
      [{ cores: { min: 5, max: 8 } }],
      {
        problem:
          'the specified ".spec.cpu.cores 2" value is not among the sizing policies allowed for the virtual machine',
      },
    ],
  ])("with %s", (_, policies, expected) => {
    expect(defaultCoreFraction(policies, 2)).toEqual(expected);
  });
});

describe("sizingPolicyProblems", () => {
  const ranges = (...pairs: [number, number][]): SizingPolicy[] =>
    pairs.map(([min, max]) => ({ cores: { min, max } }));

  it.each<[SizingPolicy[], string[]]>([
    [ranges([1, 4], [5, 8]), []],
    [ranges([1, 4], [9, 16]), []],
    [ranges([1, 4], [4, 8]), ["spec.sizingPolicies[1].cores"]],
    [ranges([1, 16], [5, 8]), ["spec.sizingPolicies[1].cores"]],
    [ranges([5, 8], [1, 16]), ["spec.sizingPolicies[1].cores"]],
    [ranges([5, 8], [1, 4], [2, 6]), ["spec.sizingPolicies[2].cores"]],
    [
      [{ cores: { min: 1, max: 4 }, coreFractions: ["5%"], defaultCoreFraction: "10%" }],
      ["spec.sizingPolicies[0].defaultCoreFraction"],
    ],
    [[{ cores: { min: 1, max: 4 }, defaultCoreFraction: "10%" }], []],
    [[{ cores: { min: 1, max: 4 }, coreFractions: ["5%"], defaultCoreFraction: "Auto" }], []],
  ])("in %j finds %j", (policies, fields) => {
    expect(sizingPolicyProblems("a", policies).map(({ field }) => field)).toEqual(fields);
  });

  it("says which policies cross", () => {
    expect(sizingPolicyProblems("generic", ranges([1, 16], [5, 8]))[0]?.message).toBe(
      "vmclass generic has size policy cpu crosses: 5-8 and spec.sizingPolicies[0] have numbers of cores in common",
    );
  });
});
