import type { GuestRecord, MigrationState } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { migrationLimits } from "../../src/operations/migration-limits.ts";
import { MigrationTracker } from "../../src/operations/migration-tracker.ts";
import { powerOutcome, type PowerOutcomeInputs } from "../../src/operations/power-outcome.ts";
import { evictionReason } from "../../src/placement/eviction-decision.ts";
import { record } from "../support/resources.ts";

const TAKEN = { uid: "it", incarnation: 3 };

function outcome(
  type: PowerOutcomeInputs["type"],
  known: GuestRecord | undefined,
  wantsToRun = false,
): string {
  const found = powerOutcome({ type, uid: "it", record: known, wantsToRun, obstacle: "no host" });
  return "message" in found ? `${found.state}: ${found.message}` : found.state;
}

describe("a power operation", () => {
  const off = record("Stopped", { operation: TAKEN, stopReason: "StoppedByOperation" });
  const later = { incarnation: 4, operation: TAKEN };

  it.each<[PowerOutcomeInputs["type"], GuestRecord | undefined, boolean, string]>([
    ["Start", undefined, false, "waiting"],
    ["Start", record("Stopped"), false, "waiting"],
    ["Start", record("Stopped", { operation: { uid: "other", incarnation: 3 } }), true, "waiting"],
    ["Start", off, true, "under-way"],
    ["Start", record("Starting", later), true, "under-way"],
    ["Start", record("Running", later), true, "completed"],
    ["Start", record("Stopped", { ...later, stopReason: "GuestShutdown" }), false, "completed"],
    [
      "Start",
      record("Stopped", { ...later, stopReason: "StartFailed" }),
      false,
      "failed: The guest was not started: no host",
    ],
    ["Start", record("Stopped", { ...later, stopReason: "StartFailed" }), true, "under-way"],
    ["Start", off, false, "failed: The guest was not started: no host"],
    ["Stop", record("Running", { operation: TAKEN }), false, "under-way"],
    ["Stop", record("Stopping", { operation: TAKEN }), false, "under-way"],
    ["Stop", off, false, "completed"],
    ["Stop", record("Running", later), true, "completed"],
    ["Restart", record("Running", { operation: TAKEN }), true, "under-way"],
    ["Restart", record("Stopping", { operation: TAKEN }), true, "under-way"],
    [
      "Restart",
      record("Stopped", { operation: TAKEN, stopReason: "StoppedForRestart" }),
      true,
      "under-way",
    ],
    ["Restart", record("Running", later), true, "completed"],
  ])("%s with %j (to run: %s) is %s", (type, known, wantsToRun, expected) => {
    expect(outcome(type, known, wantsToRun)).toBe(expected);
  });
});

describe("what remains of a migration", () => {
  function copying(remainingBytes: number, more: Partial<MigrationState> = {}): MigrationState {
    return {
      id: "1",
      source: "a",
      target: "b",
      phase: "copying",
      totalBytes: 100,
      remainingBytes,
      ...more,
    };
  }

  it("tells when it is copied again, and when it gets nowhere", () => {
    const tracker = new MigrationTracker();
    const again = (remaining: number, now: number): unknown => {
      const stage = tracker.stageOf(copying(remaining), now);
      return stage.stage === "syncing" && stage.again;
    };
    expect([again(100, 0), again(40, 1_000), again(0, 2_000)]).toEqual([false, false, false]);
    expect(tracker.isStuck(copying(0), false, 60_000)).toBe(false);
    expect(again(30, 3_000)).toBe(true);
    expect(tracker.isStuck(copying(30), false, 11_999)).toBe(false);
    expect(tracker.isStuck(copying(30), false, 12_000)).toBe(true);
    expect(tracker.isStuck(copying(30), true, 12_000)).toBe(false);
    expect(tracker.isStuck(copying(30, { throttlePercent: 99 }), true, 12_000)).toBe(true);
    tracker.forget("1");
    expect(tracker.isStuck(copying(30), false, 99_000)).toBe(false);
  });

  it.each([
    [{}, 1, { perNode: 1, total: 2, bytesPerSecond: 640 * 2 ** 20 }],
    [{}, 8, { perNode: 1, total: 8, bytesPerSecond: 640 * 2 ** 20 }],
    [
      { bandwidthPerNode: "64Mi", maxMigrationsPerNode: 2 },
      3,
      { perNode: 2, total: 6, bytesPerSecond: 32 * 2 ** 20 },
    ],
  ])("with the settings %j on %d nodes is limited to %j", (settings, nodes, expected) => {
    expect(migrationLimits(settings, nodes)).toEqual(expected);
  });
});

describe("a guest leaves its node", () => {
  const NODE = { name: "a", labels: { disktype: "hdd" }, taints: [], draining: false };
  const SSD = { matchLabels: { disktype: "ssd" } };

  it.each<[string, Parameters<typeof evictionReason>, string | undefined]>([
    ["for no reason", [NODE, { nodeSelectors: [] }], undefined],
    [
      "that is drained",
      [{ ...NODE, draining: true }, { nodeSelectors: [] }],
      'evacuation- Node "a" is to be emptied for maintenance.',
    ],
    [
      "for a taint",
      [{ ...NODE, taints: [{ key: "x", effect: "NoExecute" }] }, { nodeSelectors: [] }],
      'evacuation- Node "a" has the taint x:NoExecute, which the VM does not tolerate.',
    ],
    [
      "not for a taint that only keeps others away",
      [{ ...NODE, taints: [{ key: "x", effect: "NoSchedule" }] }, { nodeSelectors: [] }],
      undefined,
    ],
    [
      "that its VM does not choose",
      [NODE, { nodeSelectors: [{ of: "the VM", selector: SSD }] }],
      'nodeplacement-update- Node "a" does not match the node selector of the VM.',
    ],
  ])("%s", (_, inputs, expected) => {
    const reason = evictionReason(...inputs);
    expect(reason && `${reason.prefix} ${reason.message}`).toBe(expected);
  });
});
