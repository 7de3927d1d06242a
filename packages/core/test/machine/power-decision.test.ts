import type { GuestRecord, GuestStopReason, RunPolicy } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { decidePower, type PowerAction } from "../../src/machine/power-decision.ts";
import {
  type IntentInputs,
  type PowerRequest,
  recordIntent,
} from "../../src/machine/power-intent.ts";
import { record } from "../support/resources.ts";

const POLICIES = ["AlwaysOn", "AlwaysOnUnlessStoppedManually", "Manual", "AlwaysOff"] as const;
const MIDNIGHT = Date.UTC(2026, 0, 1);
const NONE: PowerAction = { type: "none" };
const START: PowerAction = { type: "start", delay: 0 };
const CONTINUE: PowerAction = { type: "continue-start" };
const SHUT_DOWN: PowerAction = { type: "shut-down", powerOffAfter: 60_000 };
const POWER_OFF: PowerAction = { type: "power-off" };

type More = Partial<IntentInputs> & {
  readonly terminationGracePeriodSeconds?: number;
  readonly at?: number;
};

function intend(
  runPolicy: RunPolicy,
  known: GuestRecord | undefined,
  more: More = {},
): GuestRecord | undefined {
  const { at = MIDNIGHT } = more;
  return recordIntent(known, {
    runPolicy,
    deleting: false,
    maintenance: false,
    restartForChanges: false,
    request: undefined,
    now: new Date(at).toISOString(),
    ...more,
  });
}

/** What is done once what is wanted has been recorded. */
function decide(
  runPolicy: RunPolicy,
  known: GuestRecord | undefined,
  more: More = {},
): PowerAction {
  return decidePower({
    runPolicy,
    record: intend(runPolicy, known, more),
    deleting: more.deleting ?? false,
    maintenance: more.maintenance ?? false,
    terminationGracePeriodSeconds: more.terminationGracePeriodSeconds ?? 60,
    now: more.at ?? MIDNIGHT,
  });
}

function stopped(stopReason: GuestStopReason, failures = 1): GuestRecord {
  return record("Stopped", { stopReason, failures });
}

function request(type: PowerRequest["type"], force = false): { request: PowerRequest } {
  return { request: { uid: "operation", type, force } };
}

describe("decidePower", () => {
  // Columns in the order of POLICIES. Source: the table of run policies of the DVP user guide.
  it.each<[string, GuestRecord | undefined, readonly PowerAction[]]>([
    ["was just created", undefined, [START, START, NONE, NONE]],
    ["is starting", record("Starting"), [CONTINUE, CONTINUE, CONTINUE, SHUT_DOWN]],
    ["runs", record("Running"), [NONE, NONE, NONE, SHUT_DOWN]],
    ["is being stopped", record("Stopping"), [SHUT_DOWN, SHUT_DOWN, SHUT_DOWN, SHUT_DOWN]],
    ["was shut down from inside", stopped("GuestShutdown"), [START, NONE, NONE, NONE]],
    ["asked for a reboot", stopped("GuestReset", 0), [START, START, START, NONE]],
    ["was stopped on its host", stopped("Stopped", 0), [START, NONE, NONE, NONE]],
    ["was stopped by the policy", stopped("StoppedByPolicy", 0), [START, START, NONE, NONE]],
    ["was stopped by an operation", stopped("StoppedByOperation", 0), [START, NONE, NONE, NONE]],
    ["was stopped for a restart", stopped("StoppedForRestart", 0), [START, START, START, NONE]],
    ["was stopped for a restore", stopped("StoppedForMaintenance", 0), [START, START, START, NONE]],
    ["crashed", stopped("Crashed"), [START, START, NONE, NONE]],
    ["was lost with its host", stopped("HostLost"), [START, START, NONE, NONE]],
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

  it.each<[string, GuestRecord | undefined, PowerAction]>([
    ["was never started", undefined, NONE],
    ["is starting", record("Starting"), SHUT_DOWN],
    ["runs", record("Running"), SHUT_DOWN],
    ["has ended", stopped("Crashed"), NONE],
  ])("while the VM is restored, for a guest that %s, whatever the policy", (_, known, action) => {
    for (const policy of POLICIES)
      expect(decide(policy, known, { maintenance: true })).toEqual(action);
  });

  it.each<[string, GuestRecord | undefined, readonly PowerAction[]]>([
    ["is off and has nothing attached", stopped("Stopped"), [START, NONE, NONE, NONE]],
    [
      "is off and has something attached",
      {
        ...stopped("Stopped"),
        devices: [
          { kind: "VirtualDisk", name: "a", volume: "vd-a", state: "Attached", shared: false },
        ],
      },
      [START, { type: "release" }, { type: "release" }, { type: "release" }],
    ],
  ])("for a guest that %s", (_, known, actions) => {
    expect(POLICIES.map((policy) => decide(policy, known))).toEqual(actions);
  });

  it.each([
    [60, 0, { type: "shut-down", powerOffAfter: 60_000 }],
    [60, 59_999, { type: "shut-down", powerOffAfter: 1 }],
    [60, 60_000, { type: "power-off" }],
    [60, 90_000, { type: "power-off" }],
    [0, 0, { type: "power-off" }],
    [5, 2_000, { type: "shut-down", powerOffAfter: 3_000 }],
  ])("gives %d s of grace; after %d ms: %j", (terminationGracePeriodSeconds, passed, action) => {
    const more = { terminationGracePeriodSeconds, at: MIDNIGHT + passed };
    expect(decide("AlwaysOff", record("Stopping"), more)).toEqual(action);
  });

  it("counts the grace period of a guest that runs from now", () => {
    expect(decide("AlwaysOff", record("Running"), { at: MIDNIGHT + 3_600_000 })).toEqual(SHUT_DOWN);
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
      decide("AlwaysOn", stopped("Crashed", 3), { at: MIDNIGHT + passed });
    expect([at(5_000), at(20_000), at(50_000)]).toEqual([
      { type: "start", delay: 15_000 },
      START,
      START,
    ]);
  });
});

describe("an operation", () => {
  it.each<[string, More, GuestRecord | undefined, PowerAction]>([
    ["Start", request("Start"), undefined, START],
    ["Start", request("Start"), stopped("StoppedByOperation"), START],
    ["Start", request("Start"), stopped("Crashed", 9), START],
    ["Start", request("Start"), record("Stopping"), SHUT_DOWN],
    ["Stop", request("Stop"), record("Running"), SHUT_DOWN],
    ["Stop", request("Stop"), record("Starting"), SHUT_DOWN],
    ["Stop", request("Stop"), undefined, NONE],
    ["Stop", request("Stop"), stopped("GuestReset"), NONE],
    ["forced Stop", request("Stop", true), record("Running"), POWER_OFF],
    ["forced Stop", request("Stop", true), record("Stopping"), POWER_OFF],
    ["Restart", request("Restart"), record("Running"), SHUT_DOWN],
    ["forced Restart", request("Restart", true), record("Running"), POWER_OFF],
    ["Restart", request("Restart"), stopped("Crashed"), START],
  ])("%s under Manual", (_, more, known, action) => {
    expect(decide("Manual", known, more)).toEqual(action);
  });

  it("is taken up once", () => {
    const taken = intend("Manual", record("Running"), request("Restart"));
    expect(taken).toMatchObject({
      state: "Stopping",
      stopCause: "StoppedForRestart",
      operation: { uid: "operation", incarnation: 3 },
    });
    const restarted = { ...record("Running"), incarnation: 4, operation: taken?.operation };
    expect(intend("Manual", restarted as GuestRecord, request("Restart"))).toBe(restarted);
  });

  it("Start is remembered until the guest that is being stopped has ended", () => {
    const taken = intend("Manual", record("Stopping"), request("Start"));
    expect(taken).toMatchObject({ state: "Stopping", startRequested: true });
    const over = { ...stopped("StoppedByOperation"), startRequested: true } as const;
    expect(decide("Manual", over)).toEqual(START);
    expect(decide("AlwaysOff", over)).toEqual(NONE);
  });

  it("Stop takes back a start that was asked for", () => {
    const waiting = { ...stopped("Crashed"), startRequested: true } as const;
    const taken = intend("Manual", waiting, request("Stop"));
    expect(taken?.startRequested).toBeUndefined();
    expect(taken?.stopReason).toBe("StoppedByOperation");
  });

  it("a forced one hurries on a stop that gives time", () => {
    const slow = record("Stopping", { stopCause: "StoppedForRestart" });
    const taken = intend("Manual", slow, { ...request("Stop", true), at: MIDNIGHT + 5_000 });
    expect(taken).toMatchObject({
      stopCause: "StoppedByOperation",
      forced: true,
      since: slow.since,
    });
  });
});

it("changes that need nobody's consent restart a guest that runs, under every policy that lets it run", () => {
  const more = { restartForChanges: true };
  for (const policy of ["AlwaysOn", "AlwaysOnUnlessStoppedManually", "Manual"] as const) {
    expect(decide(policy, record("Running"), more)).toEqual(SHUT_DOWN);
    expect(intend(policy, record("Running"), more)?.stopCause).toBe("StoppedForRestart");
    expect(decide(policy, record("Starting"), more)).toEqual(CONTINUE);
  }
});

it("a VM that was off for another reason starts when the policy is no longer AlwaysOff", () => {
  const off = intend("AlwaysOff", stopped("StoppedByOperation"));
  expect(off?.stopReason).toBe("StoppedByPolicy");
  expect(intend("AlwaysOff", off)).toBe(off);
  expect(decide("AlwaysOnUnlessStoppedManually", off)).toEqual(START);
});
