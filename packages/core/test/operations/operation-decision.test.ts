import type { LiveMigrationPolicy, VirtualMachinePhase } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import {
  type OperationType,
  type OperationWish,
  supersedes,
} from "../../src/api/operation-supersede.ts";
import { migrationPolicy } from "../../src/operations/migration-policy.ts";
import { decideOperation, type OperationTarget } from "../../src/operations/operation-decision.ts";

const TYPES: readonly OperationType[] = [
  "Start",
  "Stop",
  "Restart",
  "Migrate",
  "Evict",
  "Restore",
  "Clone",
];
const PHASES: readonly VirtualMachinePhase[] = [
  "Pending",
  "Running",
  "Degraded",
  "Terminating",
  "Stopped",
  "Stopping",
  "Starting",
  "Migrating",
  "Pause",
];

function target(more: Partial<OperationTarget> = {}): OperationTarget {
  return { phase: "Running", runPolicy: "Manual", liveMigrationPolicy: "PreferSafe", ...more };
}

function wish(text: string): OperationWish {
  const [type, force] = text.split(" ");
  return { type: type as OperationType, ...(force === "force" && { force: true }) };
}

describe("an operation", () => {
  it.each<[string, VirtualMachinePhase[]]>([
    ["Start", ["Stopped", "Stopping"]],
    ["Stop", ["Pending", "Running", "Degraded", "Starting", "Migrating", "Pause"]],
    [
      "Stop force",
      ["Pending", "Running", "Degraded", "Stopping", "Starting", "Migrating", "Pause"],
    ],
    ["Restart", ["Running", "Degraded", "Starting", "Migrating", "Pause"]],
    ["Restart force", ["Running", "Degraded", "Stopping", "Starting", "Migrating", "Pause"]],
    ["Migrate", ["Running"]],
    ["Evict", ["Running"]],
    ["Restore", ["Pending", "Running", "Stopped"]],
    ["Clone", ["Running", "Stopped"]],
  ])("%s begins in the phases %j", (what, phases) => {
    const begins = PHASES.filter((phase) => {
      const decision = decideOperation({
        wish: wish(what),
        target: target({ phase }),
        earlier: [],
      });
      if (decision.type === "begin") return true;
      expect(decision).toEqual({
        type: "fail",
        reason: "NotApplicableForVirtualMachinePhase",
        message: `Operation type ${what.split(" ")[0]} is not applicable for VirtualMachine in phase ${phase}`,
      });
      return false;
    });
    expect(begins).toEqual(phases);
  });

  it.each<[OperationTarget["runPolicy"], OperationType[]]>([
    ["AlwaysOn", ["Restart", "Migrate", "Evict", "Restore", "Clone"]],
    ["AlwaysOnUnlessStoppedManually", [...TYPES]],
    ["Manual", [...TYPES]],
    ["AlwaysOff", ["Restore", "Clone"]],
  ])("under the run policy %s can be one of %j", (runPolicy, types) => {
    const allowed = TYPES.filter((type) => {
      const phase = type === "Start" ? "Stopped" : "Running";
      const decision = decideOperation({
        wish: { type },
        target: target({ runPolicy, phase }),
        earlier: [],
      });
      if (decision.type === "begin") return true;
      expect(decision).toEqual({
        type: "fail",
        reason: "NotApplicableForVirtualMachineRunPolicy",
        message: `Operation type ${type} is not applicable for VirtualMachine with runPolicy ${runPolicy}`,
      });
      return false;
    });
    expect(allowed).toEqual(types);
  });

  it("without a VM fails", () => {
    expect(decideOperation({ wish: { type: "Stop" }, target: undefined, earlier: [] })).toEqual({
      type: "fail",
      reason: "VirtualMachineNotFound",
      message: "VirtualMachine not found",
    });
  });

  it("waits for an earlier one, also where its phase would not do now", () => {
    const earlier = [{ name: "restart-1", type: "Restart" }] as const;
    for (const phase of ["Running", "Stopping", "Stopped"] as const) {
      expect(
        decideOperation({ wish: { type: "Stop" }, target: target({ phase }), earlier }),
      ).toEqual({
        type: "wait",
        reason: "NotReadyToBeExecuted",
        message:
          'VMOP cannot be executed now. Previously created operation "restart-1" should finish first',
      });
    }
  });

  it("takes the place of those that it supersedes", () => {
    const earlier = [{ name: "migrate-1", type: "Migrate" }] as const;
    const decision = decideOperation({
      wish: { type: "Stop" },
      target: target({ phase: "Migrating" }),
      earlier,
    });
    expect(decision).toEqual({ type: "begin", supersedes: ["migrate-1"] });
  });

  it.each(["Migrate", "Evict"] as const)("%s fails for a VM that cannot be migrated", (type) => {
    const notMigratable = "Its disks are on one host only.";
    expect(
      decideOperation({ wish: { type }, target: target({ notMigratable }), earlier: [] }),
    ).toEqual({
      type: "fail",
      reason: "NotReadyToBeExecuted",
      message:
        "VirtualMachine is not migratable, cannot be processed. Its disks are on one host only.",
    });
  });

  it("cannot be forced against the VM's policy of migration", () => {
    expect(
      decideOperation({
        wish: { type: "Evict", force: true },
        target: target({ liveMigrationPolicy: "AlwaysSafe" }),
        earlier: [],
      }),
    ).toEqual({
      type: "fail",
      reason: "NotApplicableForLiveMigrationPolicy",
      message: "force=true is not applicable for VM liveMigrationPolicy AlwaysSafe",
    });
  });
});

describe("the supersede matrix", () => {
  const EVERY = TYPES.flatMap((type) =>
    type === "Stop" || type === "Restart" ? [type, `${type} force`] : [type],
  );
  it.each<[string, string[]]>([
    ["Start", ["Stop", "Stop force"]],
    ["Stop", ["Stop force", "Restart force"]],
    ["Stop force", []],
    ["Restart", ["Stop force", "Restart force"]],
    ["Restart force", []],
    ["Migrate", ["Stop", "Stop force", "Restart", "Restart force"]],
    ["Evict", ["Stop", "Stop force", "Restart", "Restart force"]],
    ["Restore", []],
    ["Clone", []],
  ])("%s is superseded by %j", (unfinished, by) => {
    expect(EVERY.filter((next) => supersedes(wish(next), wish(unfinished)))).toEqual(by);
  });
});

describe("the policy of a migration", () => {
  it.each<[LiveMigrationPolicy, boolean | undefined, boolean | string]>([
    ["AlwaysSafe", undefined, false],
    ["AlwaysSafe", false, false],
    ["AlwaysSafe", true, "force=true is not applicable for VM liveMigrationPolicy AlwaysSafe"],
    ["PreferSafe", undefined, false],
    ["PreferSafe", false, false],
    ["PreferSafe", true, true],
    ["PreferForced", undefined, true],
    ["PreferForced", false, false],
    ["PreferForced", true, true],
    ["AlwaysForced", undefined, true],
    [
      "AlwaysForced",
      false,
      "force=false is not applicable for VM liveMigrationPolicy AlwaysForced",
    ],
    ["AlwaysForced", true, true],
  ])("%s with force %s", (policy, force, expected) => {
    expect(migrationPolicy(policy, force)).toEqual(
      typeof expected === "string" ? { problem: expected } : { autoConverge: expected },
    );
  });
});
