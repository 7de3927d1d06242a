import type { GuestRecord, GuestStopReason, RunPolicy } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { decidePower, type PowerAction } from "../../src/machine/power-decision.ts";
import { record } from "../support/resources.ts";

const POLICIES = ["AlwaysOn", "AlwaysOnUnlessStoppedManually", "Manual", "AlwaysOff"] as const;
const MIDNIGHT = Date.UTC(2026, 0, 1);
const NONE: PowerAction = { type: "none" };
const START: PowerAction = { type: "start", delay: 0 };
const CONTINUE: PowerAction = { type: "continue-start" };
const SHUT_DOWN: PowerAction = { type: "shut-down", powerOffAfter: 60_000 };

function decide(
  runPolicy: RunPolicy,
  known: GuestRecord | undefined,
  more: Partial<Parameters<typeof decidePower>[0]> = {},
): PowerAction {
  return decidePower({
    runPolicy,
    record: known,
    deleting: false,
    terminationGracePeriodSeconds: 60,
    now: MIDNIGHT,
    ...more,
  });
}

function stopped(stopReason: GuestStopReason, failures = 1): GuestRecord {
  return record("Stopped", { stopReason, failures });
}

describe("decidePower", () => {
  // Columns in the order of POLICIES. Source: the table of run policies of the DVP user guide.
  it.each<[string, GuestRecord | undefined, readonly PowerAction[]]>([
    ["was just created", undefined, [START, START, NONE, NONE]],
    ["is starting", record("Starting"), [CONTINUE, CONTINUE, CONTINUE, SHUT_DOWN]],
    ["runs", record("Running"), [NONE, NONE, NONE, SHUT_DOWN]],
    ["is being stopped", record("Stopping"), [SHUT_DOWN, SHUT_DOWN, SHUT_DOWN, SHUT_DOWN]],
    ["was shut down from inside", stopped("GuestShutdown"), [START, NONE, NONE, NONE]],
    ["was stopped on its host", stopped("Stopped", 0), [START, NONE, NONE, NONE]],
    ["was stopped by the policy", stopped("StoppedByPolicy", 0), [START, START, NONE, NONE]],
    ["crashed", stopped("Crashed"), [START, START, NONE, NONE]],
    ["did not start", stopped("StartFailed"), [START, START, NONE, NONE]],
    ["was lost", stopped("Lost"), [START, START, NONE, NONE]],
  ])("for a guest that %s", (_, known, actions) => {
    expect(POLICIES.map((policy) => decide(policy, known))).toEqual(actions);
  });

  it.each<[string, GuestRecord | undefined, PowerAction]>([
    ["was never started", undefined, NONE],
    ["is starting", record("Starting"), SHUT_DOWN],
    ["runs", record("Running"), SHUT_DOWN],
    ["is being stopped", record("Stopping"), SHUT_DOWN],
    ["has ended", stopped("Crashed"), { type: "remove" }],
    ["was removed", { incarnation: 3, state: "Stopped", since: "", failures: 0 }, NONE],
  ])("under deletion, for a guest that %s, whatever the policy", (_, known, action) => {
    for (const policy of POLICIES)
      expect(decide(policy, known, { deleting: true })).toEqual(action);
  });

  it.each([
    [60, 0, { type: "shut-down", powerOffAfter: 60_000 }],
    [60, 59_999, { type: "shut-down", powerOffAfter: 1 }],
    [60, 60_000, { type: "power-off" }],
    [60, 90_000, { type: "power-off" }],
    [0, 0, { type: "power-off" }],
    [5, 2_000, { type: "shut-down", powerOffAfter: 3_000 }],
  ])("gives %d s of grace; after %d ms: %j", (terminationGracePeriodSeconds, passed, action) => {
    const more = { terminationGracePeriodSeconds, now: MIDNIGHT + passed };
    expect(decide("AlwaysOff", record("Stopping"), more)).toEqual(action);
  });

  it("counts the grace period of a guest that runs from now", () => {
    expect(decide("AlwaysOff", record("Running"), { now: MIDNIGHT + 3_600_000 })).toEqual(
      SHUT_DOWN,
    );
  });

  it.each([
    [0, 0],
    [1, 0],
    [2, 10_000],
    [3, 20_000],
    [4, 40_000],
    [5, 80_000],
    [6, 160_000],
    [7, 300_000],
    [8, 300_000],
    [1_000, 300_000],
  ])("after %d failures in a row starts again in %d ms", (failures, delay) => {
    expect(decide("AlwaysOn", stopped("Crashed", failures))).toEqual({ type: "start", delay });
  });

  it("counts the pause from the end of the guest", () => {
    const at = (passed: number): PowerAction =>
      decide("AlwaysOn", stopped("Crashed", 3), { now: MIDNIGHT + passed });
    expect([at(5_000), at(20_000), at(50_000)]).toEqual([
      { type: "start", delay: 15_000 },
      START,
      START,
    ]);
  });
});
