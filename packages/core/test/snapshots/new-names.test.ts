import { describe, expect, it } from "vitest";
import { nameProblem, newName, type NamingRules } from "../../src/snapshots/new-names.ts";

const replacement = (to: string, name: string, kind?: string): NamingRules => ({
  nameReplacement: [{ from: { name, ...(kind !== undefined && { kind }) }, to }],
});

describe("newName", () => {
  it.each<[string, NamingRules, string, string, string]>([
    ["replaces by name", replacement("b", "a"), "VirtualDisk", "a", "b"],
    ["replaces by kind and name", replacement("b", "a", "VirtualDisk"), "VirtualDisk", "a", "b"],
    ["leaves other kinds", replacement("b", "a", "VirtualDisk"), "VirtualMachine", "a", "a"],
    ["leaves other names", replacement("b", "a"), "VirtualDisk", "c", "c"],
    [
      "puts a prefix and a suffix",
      { customization: { namePrefix: "clone-", nameSuffix: "-2" } },
      "VirtualMachine",
      "linux",
      "clone-linux-2",
    ],
    [
      "prefers the replacement, and puts nothing around it",
      { ...replacement("b", "a"), customization: { namePrefix: "x-" } },
      "VirtualDisk",
      "a",
      "b",
    ],
    [
      "takes the first replacement that fits",
      {
        nameReplacement: [
          { from: { kind: "VirtualMachine", name: "a" }, to: "vm" },
          { from: { name: "a" }, to: "any" },
        ],
      },
      "VirtualDisk",
      "a",
      "any",
    ],
  ])("%s", (_, rules, kind, name, expected) => {
    expect(newName(rules, kind, name)).toBe(expected);
  });
});

describe("nameProblem", () => {
  it.each([
    ["VirtualMachine", "a".repeat(63), undefined],
    ["VirtualMachine", "a".repeat(64), "it must be no more than 63 characters"],
    ["VirtualDisk", "a".repeat(64), undefined],
    ["VirtualDisk", "Upper", "must consist of lower-case letters"],
    ["VirtualDisk", "", "must consist of lower-case letters"],
  ])("of %s %s is %s", (kind, name, problem) => {
    expect(nameProblem(kind, name) ?? "none").toContain(problem ?? "none");
  });
});
