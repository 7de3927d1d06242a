import { describe, expect, it } from "vitest";
import {
  classifyMigrationFailure,
  type ConvergenceInputs,
  isNotConverging,
  migrationProgress,
  migrationReason,
  type MigrationStage,
} from "../../src/operations/migration-progress.ts";
import {
  operationsToRemove,
  type RetainedOperation,
  untilNextCollection,
} from "../../src/operations/operation-retention.ts";

function sync(remainingBytes: number, round: number, totalBytes = 1000): MigrationStage {
  return { stage: "syncing", totalBytes, remainingBytes, again: round > 1 };
}

describe("a migration", () => {
  it.each<[MigrationStage, string, number]>([
    [{ stage: "pending" }, "MigrationPending", 0],
    [{ stage: "scheduling" }, "TargetScheduling", 2],
    [{ stage: "unschedulable" }, "TargetUnschedulable", 2],
    [{ stage: "preparing" }, "TargetPreparing", 3],
    [{ stage: "disk-error" }, "TargetDiskError", 3],
    [sync(1000, 1), "Syncing", 10],
    [sync(500, 1), "Syncing", 27],
    [sync(0, 1), "Syncing", 45],
    [sync(1000, 2), "Syncing", 45],
    [sync(500, 3), "Syncing", 67],
    [sync(0, 9), "Syncing", 90],
    [sync(5000, 2), "Syncing", 45],
    [sync(0, 1, 0), "Syncing", 45],
    [{ stage: "source-suspended" }, "SourceSuspended", 91],
    [{ stage: "target-resumed" }, "TargetResumed", 92],
    [{ stage: "completed" }, "Completed", 100],
  ])("at %j shows %s and %d %%", (stage, reason, percent) => {
    expect([migrationReason(stage), migrationProgress(stage)]).toEqual([reason, percent]);
  });

  const stuck: ConvergenceInputs = {
    again: true,
    autoConverge: false,
    throttlePercent: 0,
    stalledFor: 10_000,
  };
  it.each<[Partial<ConvergenceInputs>, boolean]>([
    [{}, true],
    [{ again: false }, false],
    [{ stalledFor: 9_999 }, false],
    [{ autoConverge: true, throttlePercent: 98 }, false],
    [{ autoConverge: true, throttlePercent: 99 }, true],
  ])("that differs from a stuck one by %j does not converge: %s", (more, expected) => {
    expect(isNotConverging({ ...stuck, ...more })).toBe(expected);
  });

  it.each([
    ["migration was aborted by the user", "Aborted"],
    ["Live migration is not converging", "NotConverging"],
    ["migration made no progress for 150 s", "NotConverging"],
    ["0/3 nodes can be scheduled", "TargetUnschedulable"],
    ["CSI driver timed out", "TargetDiskError"],
    ["could not attach", "TargetDiskError"],
    ["Volume vd-1 is busy", "TargetDiskError"],
    ["connection reset by peer", "Failed"],
  ])("that ended with %j is called %s", (text, reason) => {
    expect(classifyMigrationFailure(text)).toBe(reason);
  });
});

describe("operations that have ended", () => {
  const HOUR = 3_600_000;
  const NOW = 1_000 * HOUR;
  const ended = (virtualMachineName: string, ...hoursAgo: number[]): RetainedOperation[] =>
    hoursAgo.map((hours) => ({
      name: `${virtualMachineName}-${hours}`,
      namespace: "default",
      virtualMachineName,
      endedAt: NOW - hours * HOUR,
    }));
  const open: RetainedOperation = {
    name: "open",
    namespace: "default",
    virtualMachineName: "a",
  };

  it.each<[string, RetainedOperation[], string[]]>([
    ["that are young and few stay", ended("a", 0, 1, 23), []],
    ["a day ago go", ended("a", 23, 24, 25), ["a-24", "a-25"]],
    [
      "beyond ten of a VM go, the oldest first",
      ended("a", 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0),
      ["a-10", "a-11"],
    ],
    [
      "are counted for each VM",
      [...ended("a", 1, 2, 3, 4, 5, 6), ...ended("b", 1, 2, 3, 4, 5, 6)],
      [],
    ],
    ["are the only ones that go", [open, ...ended("a", 30)], ["a-30"]],
  ])("%s", (_, operations, removed) => {
    expect(operationsToRemove(operations, NOW).map(({ name }) => name)).toEqual(removed);
  });

  it("are collected at midnight", () => {
    expect(untilNextCollection(Date.UTC(2026, 0, 1, 22, 30))).toBe(1.5 * HOUR);
    expect(untilNextCollection(Date.UTC(2026, 0, 1))).toBe(24 * HOUR);
  });
});
